"""What a hostile account answers: everything that could become a request holds a path, a URL or a part of one.

Standard library only: as a command it takes the place of an account's program in a booted host.
"""

import base64
import http.server
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

Json: TypeAlias = Any
VICTIM = "bob"
CALL = f"openwx/stop_client?client={VICTIM}"
USER = f"/{CALL}&client={VICTIM}#/../.."
# They differ only in how they would lead to another account.
IDS = (
    f"/{CALL}",
    CALL,
    f"/v1/accounts/{VICTIM}/media/x",
    f"../../../../../{CALL}",
    f"..%2f..%2f..%2f{CALL}",
    f"..\\..\\..\\..\\{CALL}",
    f"?client={VICTIM}&x=",
    f"&client={VICTIM}&chat=",
    f"x#/a/{VICTIM}",
    "https://evil.example/x",
    "//evil.example/x",
    "javascript:alert(1)",
    "a b\t\r\n/é",
)
# No segment of a path can be one of these: nothing is requested.
NO_SEGMENTS = ("..", ".")
# The only file that the account has, with a name that the controller accepts.
FILE = "mojo_weixin_media_20261201120000_0123456789abcdef.png"
_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def answer(method: str, path: str) -> tuple[str, bytes]:
    """Return media type and body of the answer to a request; ``path`` is encoded and begins with /v1/ or /openwx/."""
    call = unquote(urlsplit(path).path).removeprefix("/v1/")
    if call.startswith("media/") or path.startswith("/openwx/get_avatar"):
        return "image/png", _PICTURE
    return "application/json", json.dumps(_content(method, call)).encode()


def _content(method: str, call: str) -> Json:
    now = int(time.time())
    page = {"account": VICTIM, "log": "0a1b2c3d", "more": False, "last": 0, "first": 0}
    match call.partition("/")[0]:
        case "status":
            capabilities = {"contacts": True, "groups": True, "recall": True, "avatars": True, "sends": ["text"]}
            return {"instance": "mallory", "account": VICTIM, "capabilities": capabilities, "roster": {"changes": 1}}
        case "chats":
            chats = [
                {"id": one, "name": one, "is_group": False, "known": True, "last": _message(one, now, text=one)}
                for one in (*IDS, *NO_SEGMENTS)
            ]
            return {**page, "chats": chats}
        case "contacts" | "groups" as kind:
            people = [{"id": f"{one}/", "name": one, "kind": "friend", "members": 1} for one in IDS]
            return {**page, kind: people, "more": True}
        case "messages" if method == "GET":
            return {**page, "messages": _messages(now), "pending": _waiting(now), "more": True}
        case "events":
            reports = [_report(one) for one in IDS]
            events = [
                {
                    "account": VICTIM,
                    "id": f"0a1b2c3d-{n}",
                    "seq": n,
                    "type": "friend_message",
                    "time": now,
                    "report": report,
                }
                for n, report in enumerate(reports)
            ]
            return {**page, "events": events}
        case "deliveries" if method == "GET":
            letter = {"type": "friend_message", "state": "dead", "attempts": 1, "time": now, "last_error": CALL}
            letters = [{**letter, "id": one, "seq": n} for n, one in enumerate(IDS)]
            counts = {"pending": 0, "held": 0, "dead": len(letters), "unacknowledged": len(letters)}
            return {**page, "to": f"/{CALL}", **counts, "deliveries": letters}
    return {"id": f"/{CALL}", "url": f"/{CALL}", "location": f"/{CALL}", "replayed": 1, "acknowledged": 1}


def _message(id_: str, now: int, **more: Json) -> Json:
    empty = dict.fromkeys(("cursor", "media", "quote", "state", "reason", "detail", "held_until", "handle", "code"))
    sender = {"id": f"/{CALL}", "name": CALL}
    message = {"id": id_, "direction": "in", "sender": sender, "time": now, "kind": "text", "text": "", **empty}
    return {**message, "chat": f"/{CALL}", "chat_name": CALL, "is_group": False, "recalled": False, **more}


def _messages(now: int) -> list[Json]:
    found = []
    for number, one in enumerate((FILE, *IDS, *NO_SEGMENTS, "")):
        for kind in ("image", "file"):
            media = {"type": kind, "name": f"{number}", "id": one, "file": one, "url": one, "mime": one, "size": 1}
            found.append(_message(f"{kind}{number}", now, kind=kind, media=media, cursor=f"/{CALL}"))
    return found


def _waiting(now: int) -> list[Json]:
    """Return sends, each with a button that cancels it."""
    return [_message(one, now, direction="out", state="waiting", origin="api") for one in (*IDS, *NO_SEGMENTS)]


def _report(id_: str) -> Json:
    media = {"media_url": f"/{CALL}", "media_path": f"/{CALL}"}
    sender = {"sender": id_, "sender_id": id_, "content": id_, "receiver": id_}
    return {"post_type": "receive_message", "class": "recv", "format": "media", "id": id_, **sender, **media}


class Program(http.server.BaseHTTPRequestHandler):
    """The account's port, for anybody."""

    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        kind, body = answer(self.command, self.path)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_PATCH = do  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def state(name: str) -> Json:
    """Return the content of a state file that says that the account runs."""
    now = int(time.time())
    words = {"account": name, "state": "running", "login_state": "running", "status": CALL, "qrcode_link": None}
    user = {"id": USER, "name": "Mallory"}
    return {**words, "state_since": now, "pid": os.getpid(), "start_time": now, "user": user}


if __name__ == "__main__":
    [_, instance, port] = sys.argv
    place = Path(f"/run/wxclient/{instance}/mojo_weixin_state_{instance}.json")
    place.write_text(json.dumps(state(instance)))
    place.chmod(0o644)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Program).serve_forever()
