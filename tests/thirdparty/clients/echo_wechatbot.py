"""Answer every text and voice, and send every file back, with wechatbot-sdk, as its own documentation shows it."""

import asyncio

from echoes import answers, voice_answer  # type: ignore[import-not-found]
from wechatbot import ApiError, WeChatBot  # type: ignore[import-not-found]

bot = WeChatBot()


@bot.on_message  # type: ignore[untyped-decorator]
async def answer(message) -> None:  # type: ignore[no-untyped-def]
    if message.type == "text":
        await bot.send_typing(message.user_id)
        for words in answers(message.text, message.quoted_message and message.quoted_message.text):
            try:
                await bot.reply(message, words)
            except ApiError as problem:
                print("refused:", words, problem, flush=True)
    elif message.type == "voice":
        await bot.reply(message, voice_answer(message.voices[0].duration_ms))
    else:
        media = await bot.download(message)
        name = media.file_name or "back.bin"
        await bot.reply_media(message, {"file": media.data, "file_name": name})


async def main() -> None:
    await bot.login()
    await bot.start()


asyncio.run(main())
