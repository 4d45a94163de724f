"""The paths of notifications, and what each target may send."""

import contextlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller.controller.apis.metrics.scrape import FIGURES
from wxcontroller.controller.apis.notify import dialectanswers, dialects
from wxcontroller.controller.apis.notify.dialects import ReceivedNotification
from wxcontroller.controller.apis.notify.notification import Notification
from wxcontroller.controller.apis.notify.passing import REFUSED, NotifyVerdict, TargetSender, new_key
from wxcontroller.controller.apis.notify.repeats import REPEAT_SECONDS, Repeats
from wxcontroller.controller.apis.v1.form.v1failures import FAILURE_FORM
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import CONTEXT, Context, context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import FORMS
from wxcontroller.core.access.rights import FIRST_PARTS, Scope
from wxcontroller.core.errors import WxError
from wxcontroller.core.registry.notifytargets import NotifyTarget
from wxcontroller.core.text.templates import N_, Text

# Messages of one target: some at once, then one each second, as much as an account's pace. Repeats do not count.
TARGET_BURST = 60
TARGET_SECONDS = 1.0
_TOPIC = "[A-Za-z0-9_-]{1,64}"
_Read = Callable[[web.Request], Awaitable[ReceivedNotification]]
_Answer = Callable[[str, Notification, NotifyVerdict], web.Response]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The request and response format of one kind of client."""

    name: str
    read: _Read
    answer: _Answer


NTFY = Dialect("ntfy", dialects.ntfy, dialectanswers.ntfy)
NTFY_JSON = Dialect("ntfy", dialects.ntfy_json, dialectanswers.ntfy)
GOTIFY = Dialect("gotify", dialects.gotify, dialectanswers.gotify)


@dataclass(slots=True)
class _Bucket:
    left: float = TARGET_BURST
    at: float = field(default_factory=time.monotonic)

    def wait(self) -> float:
        """Use one message of the limit; return 0, or the seconds until one is available."""
        now = time.monotonic()
        self.left, self.at = min(TARGET_BURST, self.left + (now - self.at) / TARGET_SECONDS), now
        if self.left < 1:
            return (1 - self.left) * TARGET_SECONDS
        self.left -= 1
        return 0.0


class Notifications:
    """Takes notifications for targets, and counts them, by dialect and state, in ``counts``."""

    def __init__(self, shared: Context, counts: Counter[tuple[str, ...]]) -> None:
        self._shared = shared
        self._sender = TargetSender(shared.accounts.registry, shared.ports)
        self._buckets: dict[str, _Bucket] = {}
        self.repeats = Repeats(shared.accounts.paths.notify_repeats, self._send, REPEAT_SECONDS)
        self.counts = counts

    async def take(self, target: NotifyTarget, notification: Notification) -> tuple[NotifyVerdict, bool]:
        """Send a notification, or count it with equal ones; return the result, and whether it was counted."""
        content, attachment = notification.text, notification.attachment
        if attachment is not None:
            if wait := self._wait(target.id):
                return too_many(wait), False
            sent = self._sender.send(target, content, notification.is_urgent, attachment, new_key())
            return await sent, False
        return await self.repeats.send(target.id, content, notification.is_urgent)

    async def _send(self, identity: str, content: str, urgent: bool, key: str) -> NotifyVerdict:
        target = self._shared.gate.targets.by_id.get(identity)
        if target is None:
            return NotifyVerdict(REFUSED, Text(N_("the target was removed")))
        if wait := self._wait(identity):
            return too_many(wait)
        return await self._sender.send(target, content, urgent, None, key)

    def _wait(self, identity: str) -> float:
        targets = self._shared.gate.targets.by_id
        for gone in self._buckets.keys() - targets.keys():
            del self._buckets[gone]
        return self._buckets.setdefault(identity, _Bucket()).wait()


NOTIFICATIONS = web.AppKey("notifications", Notifications)


def add_routes(app: web.Application) -> None:
    """Route /notify, and what ntfy's clients publish to."""
    app[NOTIFICATIONS] = Notifications(app[CONTEXT], app[FIGURES].notifications)
    app[FORMS].add("/notify/", FAILURE_FORM)  # without any targets
    app.cleanup_ctx.append(_running)
    for method in ("POST", "PUT"):
        app.router.add_route(method, "/notify/{target}/message", handler(GOTIFY))
        app.router.add_route(method, "/notify/{target}", handler(NTFY))
        app.router.add_route(method, "/", handler(NTFY_JSON))
        app.router.add_route(method, f"/{{target:(?!(?:{'|'.join(FIRST_PARTS)})$){_TOPIC}}}", handler(NTFY))


async def _running(app: web.Application) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app[NOTIFICATIONS].repeats.running())
        yield


def handler(dialect: Dialect) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        """Take a notification in one dialect."""
        who, shared, notifications = caller(request), context(request), request.app[NOTIFICATIONS]
        if who.scope is not Scope.NOTIFY:
            raise web.HTTPNotFound  # notifications are off
        try:
            named = request.match_info.get("target")
            if named is not None:
                hold_to_target(request, named)
            received = await dialect.read(request)
            target = hold_to_target(request, named or received.topic)
            verdict, repeated = await notifications.take(target, received.notification)
        except (WxError, web.HTTPRequestEntityTooLarge) as problem:
            notifications.counts[dialect.name, REFUSED] += 1
            raise problem if isinstance(problem, WxError) else too_large(shared) from None
        notifications.counts[dialect.name, "repeated" if repeated else verdict.state] += 1
        answer = dialect.answer(target.name, received.notification, verdict)
        if verdict.retry_after:
            answer.headers["Retry-After"] = str(verdict.retry_after)
        return answer

    return handle


def hold_to_target(request: web.Request, name: str) -> NotifyTarget:
    """Return the target that a request names; raises Refused for any but the one of its token."""
    who, gate = caller(request), context(request).gate
    target = gate.targets.by_name.get(name)
    if name != who.target or target is None:
        raise gate.denied(
            who,
            N_("this token is for another target"),
            N_("use the token that was printed when the target was added"),
        )
    return target


def too_many(wait: float) -> NotifyVerdict:
    seconds = math.ceil(wait)
    words = Text(N_("too many notifications; try again in {seconds} s"), seconds=seconds)
    return NotifyVerdict(REFUSED, words, status=429, passing=True, retry_after=seconds)


def too_large(shared: Context) -> Refused:
    return Refused(
        "too-large",
        N_("the request body is too large"),
        N_("a text is limited to {most} bytes, a file to {most_file} (max_body in the settings)"),
        status=413,
        most=dialects.TEXT_BODY_BYTES,
        most_file=shared.settings.max_body,
    )
