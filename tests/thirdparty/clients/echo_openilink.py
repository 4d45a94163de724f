"""Answer every text with openilink-sdk-python, as its own documentation shows it. It has no media."""

import os

from openilink import Client, LoginCallbacks, MonitorOptions, extract_text  # type: ignore[import-not-found]

# Without a base URL it is WeChat's own.
server = {"base_url": os.environ["BASE_URL"]} if "BASE_URL" in os.environ else {}
client = Client(**server)
client.login_with_qr(callbacks=LoginCallbacks(on_qrcode=lambda link: print(link, flush=True)))
client.monitor(
    lambda message: client.push(message.from_user_id, f"echo: {extract_text(message)}"),
    opts=MonitorOptions(on_error=print),
)
