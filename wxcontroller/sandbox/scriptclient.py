"""The command line's client of a running sandbox's scripting API."""

import http.client
import json
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from wxcontroller.core.errors import BadOption, WxError, reason_of
from wxcontroller.core.jsontypes import JsonValue, field, text

DEFAULT_URL = "http://127.0.0.1:2100"
_TIMEOUT = 330.0  # seconds; a little more than the longest wait that the API allows


class SandboxUnreachable(WxError, ConnectionError, exit_code=3):
    """No sandbox responds at the address."""


class SandboxRefused(WxError):
    """The sandbox refused the request."""


class NotThere(SandboxRefused, LookupError, exit_code=4):
    """An account, login or fault that the sandbox does not know."""


class Remote:
    """The scripting API at a base URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BadOption(f"{url!r} is not a sandbox's URL", f"use a URL like {DEFAULT_URL}")
        self.url, self.host, self.port = url, parts.hostname, parts.port or 80

    def ask(self, method: str, *path: str, query: dict[str, str] | None = None, body: JsonValue = None) -> JsonValue:
        """Make one request; path segments are quoted here. Raises WxError unless it succeeds."""
        raw, status = self._exchange(method, path, query, body)
        return self._accepted(raw, status)

    def content(self, *path: str) -> bytes:
        """Get bytes. Raises WxError unless it succeeds."""
        raw, status = self._exchange("GET", path, None, None)
        if status != 200:
            self._accepted(raw, status)
        return raw

    def _accepted(self, raw: bytes, status: int) -> JsonValue:
        """Return the JSON of a successful answer; raise the error of any other."""
        try:
            value: JsonValue = json.loads(raw)
        except ValueError:
            value = None
        error = text(field(value, "error"))
        if value is None or (status >= 400 and not error):
            raise SandboxUnreachable(
                f"{self.url} answered {status}, but not as a sandbox does",
                "check --url or WXSANDBOX_URL: another program may listen there",
            )
        if status >= 400:
            raise (NotThere if status == 404 else SandboxRefused)(error)
        return value

    def _exchange(
        self, method: str, path: Sequence[str], query: dict[str, str] | None, body: JsonValue
    ) -> tuple[bytes, int]:
        target = "/sandbox/" + "/".join(quote(segment, safe="") for segment in path)
        if query:
            target += "?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        try:
            connection.request(method, target, None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.read(), response.status
        except (OSError, http.client.HTTPException) as error:
            raise SandboxUnreachable(
                f"no sandbox answers at {self.url}: {reason_of(error)}",
                "start it with 'systemctl start wxcontroller-sandbox' or 'wxsandbox serve', or give another --url",
            ) from error
        finally:
            connection.close()
