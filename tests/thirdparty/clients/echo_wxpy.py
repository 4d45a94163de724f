"""Answer every text with wxpy, as its own documentation shows it, and send a file; it uploads without cookies."""

import html
import html.parser
import tempfile
from pathlib import Path

# As in echo_itchat.py.
html.parser.HTMLParser.unescape = staticmethod(html.unescape)  # type: ignore[attr-defined]

from wxpy import TEXT, Bot  # type: ignore[import-not-found]  # noqa: E402


class Late(Bot):  # type: ignore[misc]
    """A bot that does not listen before its handler is registered: wxpy drops messages that arrive earlier."""

    def start(self) -> None: ...


bot = Late(qr_callback=lambda uuid, status, qrcode: None)


@bot.register(msg_types=TEXT)  # type: ignore[untyped-decorator]
def reply(message) -> str:  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "wxpy.pdf")
        file.write_bytes(b"%PDF-1.4 a report")
        bot.file_helper.send_file(str(file))
    return f"echo: {message.text}"


Bot.start(bot)
bot.join()
