"""A notification, and its text in WeChat.

WeChat shows plain text only. The title is the first line; tags with a well-known emoji become that emoji before it,
as in ntfy's own clients; a link to open follows the message.
"""

import re
from dataclasses import dataclass, replace

from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import N_

# ntfy's priorities; those above the default one go first.
LOWEST, DEFAULT, HIGH, HIGHEST = 1, 3, 4, 5
# One or two screens on a phone: a log dump is not a notification. The account splits texts at WeChat's own limit.
TEXT_CHARACTERS = 4000
# Those that monitoring uses most; other tags are shown as words.
_EMOJI = {
    **{"warning": "⚠️", "rotating_light": "🚨", "triangular_flag_on_post": "🚩", "no_entry": "⛔", "skull": "💀"},
    **{"white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "tada": "🎉", "+1": "👍", "-1": "👎"},
    **{"loudspeaker": "📢", "bell": "🔔", "computer": "💻", "floppy_disk": "💾", "fire": "🔥", "bug": "🐛"},
    **{"red_circle": "🔴", "green_circle": "🟢", "partying_face": "🥳", "facepalm": "🤦", "cd": "💿", "clock": "🕐"},
}


class BadNotification(WxError, code="bad-notification", status=400):
    """A request that no dialect recognizes as a notification, or one with an unsupported part."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file to send: its ``content``, or the ``url`` that the account fetches it from."""

    name: str = ""
    content: bytes = b""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification that a program sends to a target."""

    message: str = ""
    title: str = ""
    priority: int = DEFAULT
    tags: tuple[str, ...] = ()
    link: str = ""
    attachment: Attachment | None = None

    @property
    def is_urgent(self) -> bool:
        return self.priority >= HIGH

    @property
    def text(self) -> str:
        """The text to send, "" when there is only a file."""
        emoji = "".join(_EMOJI[tag] for tag in self.tags if tag in _EMOJI)
        words = " ".join(f"#{tag}" for tag in self.tags if tag not in _EMOJI)
        head, body = self.title.strip(), self.message.strip()
        if not (head or body):
            return self.link
        if emoji:
            head, body = (f"{emoji} {head}", body) if head else (head, f"{emoji} {body}")
        text = "\n".join(part for part in (head, body, words, self.link) if part)
        return text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 1]}…"


def checked(notification: Notification) -> Notification:
    """Return a notification that has something to send, in characters that can be sent. Raises BadNotification."""
    attachment = notification.attachment
    notification = replace(
        notification,
        message=sendable_text(notification.message),
        title=sendable_text(notification.title),
        tags=tuple(map(sendable_text, notification.tags)),
        attachment=replace(attachment, name=sendable_text(attachment.name)) if attachment is not None else None,
    )
    if not notification.text and notification.attachment is None:
        raise BadNotification(N_("the notification is empty"), N_("send a message or a file"))
    return notification


def sendable_text(text: str) -> str:
    """Return a text without lone surrogates, which JSON allows but cannot be sent, and without NUL."""
    return re.sub("[\ud800-\udfff\0]", "\ufffd", text)
