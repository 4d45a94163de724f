"""Trials of what an account reaches, over HTTP, described: at its own port, and at the controller for its path."""

from wxcontroller.openwx.describing import SWITCH, TEXT, WHOLE, DescribedRoute, Parameter, maybe, record, texts


def routes(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> tuple[DescribedRoute, ...]:
    """Return the calls below ``path`` (an account's in /v1); ``first`` are the path's own parameters."""
    ended = {"account": TEXT, "status": maybe(WHOLE), "milliseconds": WHOLE, **texts("error")}
    return (
        DescribedRoute(
            *("POST", f"{path}/webhook/test", "send a signed test event to the webhook, and return its answer"),
            {200: record({**ended, "answer": TEXT})},
            first,
            failures=tuple(sorted({*failures, 409})),
            tag="v1",
        ),
        DescribedRoute(
            *("POST", f"{path}/proxy/test", "contact WeChat's host through a proxy, by default the current one"),
            {200: record({**ended, "reached": SWITCH, "host": TEXT, **texts("remedy")})},
            first,
            record({"proxy": TEXT}, ("proxy",)),
            failures=tuple(sorted({*failures, 400, 408, 409, 413, 415})),
            tag="v1",
        ),
    )
