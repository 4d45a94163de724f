"""The controller's HTTP API, as wxctl uses it.

http.client and not aiohttp: a command must be there before one notices that it starts. It also takes no proxy from
the environment, which would be wrong for loopback.
"""

import base64
import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import quote, urlencode, urlsplit

from wxcontroller.cli.account import AccountView, account_view
from wxcontroller.cli.credential import Finder
from wxcontroller.cli.errors import BadUsage, Unanswered
from wxcontroller.cli.hints import command
from wxcontroller.core.account import redacted
from wxcontroller.core.errors import ControllerUnreachable, NotAllowed, UnitFailed, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, text
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.openwx.replies import REFUSED

# Longer than any start_timeout or stop_timeout that the settings allow: it is the controller that gives up.
_PATIENCE = 660.0
_CONNECT = 5.0
_ANSWER = 30.0
_HOW = (
    "give one by --token @FILE, $WXCTL_TOKEN or ~/.config/wxctl/token; root on the controller's machine needs none, "
    "and makes one by: wxctl token create NAME"
)
_SEND = 180.0  # a message waits its turn in the account's queue


class Api:
    """One controller, by the URL of its root. Every method raises WxError with what to do about it."""

    def __init__(self, url: str, finder: Finder | None = None) -> None:
        wrong = BadUsage("--url (or WXCTL_URL) is not a controller's URL", "give one like http://127.0.0.1:2000")
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or not self._host:
            raise wrong
        self._secure = parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "Connection": "close"}
        if parts.username is not None:
            login = f"{parts.username}:{parts.password or ''}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self.shown = redacted(url)
        self._finder = finder or Finder()
        self._address = (self._host, self._port or (443 if self._secure else 80))
        self._token = self._finder.token(*self._address)

    def resolve(self, given: str, wait: float = _ANSWER) -> AccountName:
        """Return the account that ``given`` means: a name, or a generated id (x-…) as the journal shows it."""
        if is_derived(given):
            for account in self.accounts(wait):
                if account.instance == given:
                    return parse_name(account.name)
            raise UnknownAccount(f"no account has the id {given}", "wxctl list shows the accounts")
        return parse_name(given)

    def health(self) -> JsonObject:
        return obj(self._call("GET", "/v1/health"))

    def accounts(self, wait: float = _ANSWER) -> list[AccountView]:
        found = items(field(self._call("GET", "/v1/accounts", wait=wait), "accounts"))
        return [account_view(one) for one in found]

    def account(self, name: AccountName, wait: float = _ANSWER) -> AccountView:
        return account_view(self._call("GET", _path(name), about=name, wait=wait))

    def start(self, name: AccountName, options: Mapping[str, str]) -> AccountView:
        """Start an account; the options given are stored with it. Returns when its unit is up."""
        body: JsonObject = dict(options)
        return account_view(self._call("POST", _path(name, "start"), json_body=body, about=name, wait=_PATIENCE))

    def stop(self, name: AccountName) -> AccountView:
        return account_view(self._call("POST", _path(name, "stop"), about=name, wait=_PATIENCE))

    def restart(self, name: AccountName) -> AccountView:
        return account_view(self._call("POST", _path(name, "restart"), about=name, wait=_PATIENCE))

    def remove(self, name: AccountName) -> JsonObject:
        return obj(self._call("DELETE", _path(name), about=name, wait=_PATIENCE))

    def all_deliveries(self) -> JsonValue:
        """Return how many reports of each account wait and are dead."""
        return self._call("GET", "/v1/deliveries")

    def deliveries(self, name: AccountName, query: Mapping[str, str]) -> JsonValue:
        """Return an account's deliveries; ``query`` as GET /v1/accounts/NAME/deliveries takes it."""
        return self._call("GET", _path(name, "deliveries") + "?" + urlencode(query), about=name)

    def delivery(self, name: AccountName, delivery_id: str) -> JsonValue:
        return self._call("GET", _path(name, "deliveries") + "/" + quote(delivery_id, safe=""), about=name)

    def change_deliveries(self, name: AccountName, verb: str, chosen: JsonObject) -> JsonValue:
        """Replay or purge (``verb``) what ``chosen`` names: ids, a state, or both."""
        return self._call("POST", _path(name, f"deliveries/{verb}"), json_body=chosen, about=name)

    def qr_link(self, name: AccountName) -> str:
        """Return what the account's present QR code says. Raises WxError when it shows none."""
        answer = self._call("GET", _path(name, "qr"), about=name)
        link = text(field(answer, "link"))
        if not link and field(answer, "jpeg"):
            raise WxError(
                f"{name.name} runs a program that shows its QR code as a picture only",
                f"get it: curl -f -o qr.jpg '{self.shown}/openwx/get_qrcode?{urlencode({'client': name.name})}'",
            )
        if not link:
            raise WxError(f"{name.name}: there is no QR code to scan", f"see: {command('status', name.name)}")
        return link

    def openwx(self, endpoint: str, name: AccountName, form: Mapping[str, str]) -> JsonValue:
        """Call a single-account endpoint by POST and return its answer, whatever its code (openwx-api 2)."""
        path = f"/openwx/{endpoint}?" + urlencode({"client": name.name})
        return self._call("POST", path, form=form, about=name, wait=_SEND)

    def _call(
        self,
        method: str,
        path: str,
        json_body: JsonObject | None = None,
        form: Mapping[str, str] | None = None,
        about: AccountName | None = None,
        wait: float = _ANSWER,
    ) -> JsonValue:
        headers = {**self._headers, **self._authority()}
        body: bytes | None = None
        if json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        elif form is not None:
            body, headers["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        status, content = self._exchange(method, self._base + path, body, headers, wait)
        if status == 401 and (fresh := self._finder.roots(*self._address)) and self._token and fresh != self._token:
            # The controller was restarted since we looked; what it refused it has not done.
            self._token = fresh
            status, content = self._exchange(method, self._base + path, body, {**headers, **self._authority()}, wait)
        try:
            answer: JsonValue = json.loads(content) if content else {}
        except ValueError:
            raise ControllerUnreachable(
                f"{self.shown} answered {status}, but not as wxcontroller does",
                "check --url or WXCTL_URL: another program may listen there",
            ) from None
        if status >= 400:
            raise _problem(status, answer, about)
        return answer

    def _authority(self) -> dict[str, str]:
        """Return the header with the token; Authorization may be a reverse proxy's."""
        if not self._token:
            return {}
        if "Authorization" in self._headers:
            return {"X-Auth-Token": self._token}
        return {"Authorization": f"Bearer {self._token}"}

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], wait: float
    ) -> tuple[int, bytes]:
        kind = HTTPSConnection if self._secure else HTTPConnection
        connection, connected = kind(self._host, self._port, timeout=_CONNECT), False
        try:
            connection.connect()
            connected = True
            connection.sock.settimeout(wait)
            connection.request(method, path, body, dict(headers))
            response: HTTPResponse = connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            words = f"the controller at {self.shown} did not answer in time", "see: systemctl status wxcontroller"
            raise (Unanswered(*words, exit_code=3) if connected else ControllerUnreachable(*words)) from None
        except (OSError, HTTPException) as problem:
            if connected:
                raise Unanswered(
                    f"the controller at {self.shown} broke off the connection",
                    "see: systemctl status wxcontroller",
                    exit_code=3,
                ) from None
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
            raise ControllerUnreachable(
                f"the controller at {self.shown} can't be reached: {why or type(problem).__name__}",
                "start it with 'systemctl start wxcontroller.socket', or give another --url",
            ) from None
        finally:
            connection.close()


def _path(name: AccountName, verb: str = "") -> str:
    return f"/v1/accounts/{quote(name.name, safe='')}" + (f"/{verb}" if verb else "")


def _problem(status: int, answer: JsonValue, about: AccountName | None) -> WxError:
    """Turn an error answer into the exception with the right exit code."""
    error = field(answer, "error")
    code, remedy = text(field(error, "code")), text(field(error, "remedy"))
    # The openwx endpoints' errors have the old shape.
    old = text(field(answer, "reason")) or text(field(answer, "status"))
    message = text(field(error, "message")) or old or f"HTTP status {status}"
    if status == 401 or code == "no-token":
        return NotAllowed(f"the controller lets nobody in without a token: {message}", _HOW)
    if status in (403, 429) and (code in ("not-allowed", "too-many-failures") or field(answer, "code") == REFUSED):
        return NotAllowed(message, remedy)
    if about is not None and about.name not in message and about.instance not in message:
        message = f"{about.name}: {message}"
    if code == "unknown-account":
        return UnknownAccount(message, "wxctl list shows the accounts")
    if code == "unit-failed":
        return UnitFailed(message, remedy)
    if status in (502, 504):  # the account's part of it; the controller has passed it on
        return Unanswered(message, remedy)
    if status in (400, 413, 422):
        return BadUsage(message, remedy)
    return WxError(message, remedy)
