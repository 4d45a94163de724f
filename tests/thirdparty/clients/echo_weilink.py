"""Answer every text, and send every file back, with weilink, as its own documentation shows it."""

from weilink import WeiLink  # type: ignore[import-not-found]

client = WeiLink()
client.login()
while True:
    for message in client.recv():
        if message.file is None:
            client.send_typing(message.from_user)
            client.send(message.from_user, f"echo: {message.text}")
        else:
            client.send(message.from_user, file=client.download(message), file_name=message.file.file_name)
