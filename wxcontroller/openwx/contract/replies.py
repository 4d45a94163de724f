"""Answers of the HTTP contract (openwx-api 1.3, 1.4, 2.3): their JSON, byte for byte, and their standing forms."""

import json
from collections.abc import Mapping

from wxcontroller.core.jsontypes import JsonObject, JsonValue

# Without charset (openwx-api 0).
CONTENT_TYPE = "application/json"
QRCODE_CONTENT_TYPE = "image/jpg"
# Headers of every answer to OPTIONS (2.2). Without Access-Control-Allow-Origin they allow no page.
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "OPTIONS, HEAD, GET, POST",
    "Access-Control-Allow-Headers": "X-Requested-With, X-Auth-Token, Content-Type, Content-Length, Authorization",
}

# Numbers of the contract ("result codes at a glance"), and ours where the original had no answer at all.
OK = 0
CLIENT = 1  # missing, unknown, not to be stopped, state unreadable
NO_PORT = 2
START_FAILED = 3
TOO_MANY = 5
BAD_OPTION = 6  # ours: an unknown start option, or a value it cannot have
NO_API = -1
REFUSED = -6  # the caller has no access
PROXY_FAILED = 7  # ours: the account did not answer (HTTP 502 or 504)


def to_bytes(value: JsonValue | Mapping[str, JsonValue]) -> bytes:
    """Return JSON as the original writes it: UTF-8, sorted keys, ``/`` as ``\\/``, no whitespace.

    Lone surrogates become escapes, so the result is always valid UTF-8. Raises ValueError for NaN and infinities.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    text = text.replace("/", "\\/").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return text.encode("utf-8", "backslashreplace")


def reply(code: int, status: str, /, **fields: JsonValue) -> JsonObject:
    """Return an answer object; ``code`` and ``status`` win over fields of these names (openwx-api 5.2 no. 17)."""
    return {**fields, "code": code, "status": status}


def record_reply(code: int, status: str, parameters: Mapping[str, str], /, **facts: JsonValue) -> JsonObject:
    """Return an answer with an account's stored record in it.

    ``parameters`` are the start request's, as sent; ``facts`` (account, client, pid, port) and the result win over
    them. Names beginning with ``_`` and ``log_head`` are not shown (openwx-api 1.3).
    """
    shown = {key: value for key, value in parameters.items() if not key.startswith("_") and key != "log_head"}
    return {**shown, **facts, "code": code, "status": status}


API_NOT_FOUND = reply(NO_API, "api not found")  # HTTP 403
CLIENT_MISSING = reply(CLIENT, "client not found")
CLIENT_UNKNOWN = reply(CLIENT, "client not exists")
STATE_UNREADABLE = reply(CLIENT, "client state file read error")
MAX_CLIENTS = reply(TOO_MANY, "max clients exceed")
STOP_FAILED = reply(CLIENT, "failure")
AUTH_FAILURE = reply(REFUSED, "auth failure")


def no_port(client: str) -> JsonObject:
    return reply(NO_PORT, "no available port", client=client)
