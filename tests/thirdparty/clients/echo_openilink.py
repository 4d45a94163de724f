"""Answer every text and voice with openilink-sdk-python, as its own documentation shows it. It sends no media."""

import os

from echoes import answers, voice_answer  # type: ignore[import-not-found]
from openilink import Client, LoginCallbacks, MonitorOptions, extract_text  # type: ignore[import-not-found]

# Without a base URL it is WeChat's own.
server = {"base_url": os.environ["BASE_URL"]} if "BASE_URL" in os.environ else {}
client = Client(**server)
client.login_with_qr(callbacks=LoginCallbacks(on_qrcode=lambda link: print(link, flush=True)))


def answer(message) -> None:  # type: ignore[no-untyped-def]
    [item] = message.item_list
    if item.voice_item is not None:
        client.push(message.from_user_id, voice_answer(item.voice_item.playtime))
        return
    quoted = item.ref_msg.message_item.text_item.text if item.ref_msg else None
    for words in answers(extract_text(message), quoted):
        client.push(message.from_user_id, words)  # which does not look at what is answered


client.monitor(answer, opts=MonitorOptions(on_error=print))
