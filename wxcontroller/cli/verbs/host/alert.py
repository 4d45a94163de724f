"""The verb alert: test the channels, and list current problems."""

import time

import click

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, objects, text
from wxcontroller.core.text.templates import N_, text_in

_LOOK = 0.3


@verb_group("Test alerts and show current problems.", "wxctl alert test", "wxctl alert status")
def alert() -> None:
    """Test the alert channels and show current problems."""


@alert.verb("Send a test alert.", "wxctl alert test --timeout 10")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Longest wait for each channel, in seconds.",
)
def test(session: WxctlRun, timeout: float) -> None:
    """Send a test alert through every configured channel and report each result.

    Exits with status 1 if any channel fails to deliver it.
    """
    api = session.api()
    sent = api.call("POST", "/v1/alerts/test")
    number, channels = text(sent.get("id")), [text(channel) for channel in items(sent.get("channels"))]
    results = outcomes(api, number, channels, timeout)
    if not session.emitted({"id": number, "channels": {each: error or None for each, error in results.items()}}):
        for channel, error in results.items():
            click.echo(f"{channel}: {error or say('delivered')}")
    failed = [channel for channel, error in results.items() if error]
    if failed:
        raise WxError(
            N_("the test alert was not delivered by {channels}"),
            N_(
                "see: journalctl -u wxcontroller-alert@{channel}; it is tried again after a pause, or at once by: "
                "systemctl restart wxcontroller-alert@{channel}"
            ),
            channels=", ".join(failed),
            channel=failed[0],
        )


@alert.verb("Show alert channels and current problems.", "wxctl alert status")
def status(session: WxctlRun) -> None:
    """Show the alert channels, the outcome of the last alert on each, and current problems."""
    alerts = session.api().alerts()
    if session.emitted(alerts):
        return
    channels = obj(alerts.get("channels"))
    if not channels:
        tell("no alert channel is configured in [alerts]", err=True)
    for name, channel in channels.items():
        click.echo(f"{name}: {_words(obj(channel))}")
    for problem in objects(alerts.get("problems")):
        suffix = "" if problem.get("told") or not channels else say(" (not reported yet)")
        click.echo(say(text_in(problem, "message")) + suffix)


def outcomes(api: Api, number: str, channels: list[str], timeout: float) -> dict[str, str]:
    """Wait until each channel has tried this alert; return why each failed, "" for those that did not."""
    found: dict[str, str] = {}
    end = time.monotonic() + timeout
    while True:
        current = obj(api.alerts().get("channels"))
        for name in channels:
            last = obj(obj(current.get(name)).get("last"))
            if name not in found and text(last.get("id")) == number:
                found[name] = text(last.get("error"))
        if len(found) == len(channels) or time.monotonic() > end:
            break
        time.sleep(_LOOK)
    late = say("not tried within {timeout} s", timeout=f"{timeout:g}")
    return {name: found.get(name, late) for name in channels}


def _words(channel: JsonObject) -> str:
    from wxcontroller.cli.output.statustext import enumerated
    from wxcontroller.cli.output.terminal import ago

    last, waiting = obj(channel.get("last")), integer(channel.get("waiting"))
    words = []
    if waiting:
        age = ago(integer(channel.get("oldest_since")))
        words.append(say("{number} waiting, the oldest for {age}", number=waiting, age=age))
    if last:
        outcome = text(last.get("error")) or say("delivered")
        words.append(say("last {age} ago: {outcome}", age=ago(integer(last.get("time"))), outcome=outcome))
    return enumerated(words or [say("nothing sent yet")])
