"""Answer every text with openilink-sdk-python, as its own documentation shows it. It has no media."""

from openilink import Client, LoginCallbacks, MonitorOptions, extract_text  # type: ignore[import-not-found]

client = Client()
client.login_with_qr(callbacks=LoginCallbacks(on_qrcode=print))
client.monitor(
    lambda message: client.push(message.from_user_id, f"echo: {extract_text(message)}"),
    opts=MonitorOptions(on_error=print),
)
