"""Answer every text and voice, and send every file back, with weilink, as its own documentation shows it."""

from echoes import answers, voice_answer  # type: ignore[import-not-found]
from weilink import WeiLink  # type: ignore[import-not-found]

client = WeiLink()
client.login()
while True:
    for message in client.recv():
        if message.voice is not None:
            client.send(message.from_user, voice_answer(message.voice.playtime))
        elif message.file is None:
            client.send_typing(message.from_user)
            for words in answers(message.text, message.ref_msg.text if message.ref_msg else None):
                if not client.send(message.from_user, words):
                    print("refused:", words, flush=True)
        else:
            client.send(message.from_user, file=client.download(message), file_name=message.file.file_name)
