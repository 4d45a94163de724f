"""A notification, and its text in WeChat.

WeChat shows plain text only. The title is the first line; tags with a well-known emoji become that emoji before it,
as in ntfy's own clients; a link to open follows the message.
"""

import re
from dataclasses import dataclass, replace

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import N_

# ntfy's priorities; those above the default one go first.
LOWEST, DEFAULT, HIGH, HIGHEST = 1, 3, 4, 5
# One or two screens on a phone: a log dump is not a notification, and each piece of it counts in a reply window. The
# account splits texts at WeChat's own limit. Text and answer say how much of a longer one was left out.
TEXT_CHARACTERS = 4000
_CUT_MARK = "\n… (+{number})"  # readers of any language understand it
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
        text, left_out = self._whole_text, self.left_out
        return f"{text[:-left_out]}{_CUT_MARK.format(number=left_out)}" if left_out else text

    @property
    def left_out(self) -> int:
        """How many characters of the text are not sent."""
        length = len(self._whole_text)
        if length <= TEXT_CHARACTERS:
            return 0
        return length - TEXT_CHARACTERS + len(_CUT_MARK.format(number=length))

    @property
    def _whole_text(self) -> str:
        emoji = "".join(_EMOJI[tag] for tag in self.tags if tag in _EMOJI)
        words = " ".join(f"#{tag}" for tag in self.tags if tag not in _EMOJI)
        head, body = self.title.strip(), self.message.strip()
        if not (head or body):
            return self.link
        if emoji:
            head, body = (f"{emoji} {head}", body) if head else (head, f"{emoji} {body}")
        return "\n".join(part for part in (head, body, words, self.link) if part)


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
