"""Answer every text with itchat or itchat-uos, whichever is on the path, as their own documentation shows it."""

import html
import html.parser

# itchat 1.3.10 calls what Python 3.9 removed; itchat-uos brings this substitute itself.
html.parser.HTMLParser.unescape = staticmethod(html.unescape)  # type: ignore[attr-defined]

import itchat  # type: ignore[import-not-found]  # noqa: E402
from itchat.content import TEXT  # type: ignore[import-not-found]  # noqa: E402


@itchat.msg_register(TEXT)  # type: ignore[untyped-decorator]
def reply(message: dict[str, str]) -> str:
    return f"echo: {message['Text']}"


itchat.auto_login(qrCallback=lambda uuid, status, qrcode: None)
itchat.run()
