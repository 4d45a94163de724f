"""Send a text and a file with an HTTP library, as a bot does: ``send.py LIBRARY ADDRESS TOKEN ACCOUNT NAME``.

The library's own timeouts apply. A line is printed for each message: "sent: NAME" or "failed: NAME", as answered.
"""

import asyncio
import importlib
import sys

CONTENT = b"%PDF-1.4 a report"


def judge(name: str, status: int, answer: dict[str, object]) -> None:
    sent = status < 300 and answer.get("state") in ("delivered", "accepted", "waiting", "sending")
    print(f"{'sent' if sent else 'failed'}: {name}", flush=True)
    if not sent:
        print(status, answer, flush=True)


def plainly(library: str, url: str, headers: dict[str, str], name: str) -> None:
    """Use requests or httpx, which are called in the same way. httpx gives up after 5 seconds."""
    made = importlib.import_module(library)
    text = made.post(url, headers=headers, json={"to": "filehelper", "text": name, "wait": 3})
    judge(name, text.status_code, text.json())
    file = (f"{name}.pdf", CONTENT)
    form = {"to": "filehelper", "wait": "3"}
    upload = made.post(url, headers=headers, data=form, files={"file": file})
    judge(f"{name}.pdf", upload.status_code, upload.json())


async def by_aiohttp(url: str, headers: dict[str, str], name: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(url, json={"to": "filehelper", "text": name}) as answer:
            judge(name, answer.status, await answer.json())
        form = aiohttp.FormData({"to": "filehelper"})
        form.add_field("file", CONTENT, filename=f"{name}.pdf")
        async with session.post(url, data=form) as answer:
            judge(f"{name}.pdf", answer.status, await answer.json())


library, address, token, account, name = sys.argv[1:]
url, headers = f"{address}/v1/accounts/{account}/messages", {"Authorization": f"Bearer {token}"}
if library == "aiohttp":
    asyncio.run(by_aiohttp(url, headers, name))
else:
    plainly(library, url, headers, name)
