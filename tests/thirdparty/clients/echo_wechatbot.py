"""Answer every text and voice, and send every file back, with wechatbot-sdk, as its own documentation shows it."""

import asyncio
import json
import urllib.request

from echoes import answers, heard  # type: ignore[import-not-found]
from wechatbot import ApiError, WeChatBot  # type: ignore[import-not-found]


def read_digits(is_retry: bool) -> str:
    """Read what the phone shows, for a person who would type it; the first time wrongly."""
    with urllib.request.urlopen("http://127.0.0.1:2100/sandbox/logins") as answer:
        digits: str = json.load(answer)[-1]["digits"]
    return digits if is_retry else "no"


bot = WeChatBot(on_verify_code=read_digits)


@bot.on_message  # type: ignore[misc]
async def answer(message) -> None:  # type: ignore[no-untyped-def]
    if message.type == "text":
        await bot.send_typing(message.user_id)
        for words in answers(message.text, message.quoted_message and message.quoted_message.text):
            try:
                await bot.reply(message, words)
            except ApiError as problem:
                print("refused:", words, problem, flush=True)
    elif message.type == "voice":
        await bot.reply(message, heard(message.voices[0].duration_ms))
    else:
        media = await bot.download(message)
        name = media.file_name or "back.bin"
        await bot.reply_media(message, {"file": media.data, "file_name": name})


async def main() -> None:
    await bot.login()
    await bot.start()


asyncio.run(main())
