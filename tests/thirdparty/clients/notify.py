"""Send notifications at once with python-ntfy or gotify: ``notify.py LIBRARY ADDRESS TOKEN TARGET TEXT…``.

A line is printed for each: "sent: TEXT" or "failed: TEXT", as the library says.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

library, address, token, target, *texts = sys.argv[1:]


def notify(text: str) -> str:
    try:
        if library == "gotify":
            from gotify import Gotify  # type: ignore[import-not-found]

            Gotify(base_url=f"{address}/notify/{target}", app_token=token).create_message(text)
        else:
            from python_ntfy import NtfyClient  # type: ignore[import-not-found]

            NtfyClient(topic=target, server=address, auth=token).send(text)
    except Exception as problem:  # whatever the library makes of a refusal
        return f"failed: {text}\n{problem!r}"
    return f"sent: {text}"


with ThreadPoolExecutor(len(texts)) as pool:
    for line in pool.map(notify, texts):
        print(line, flush=True)
