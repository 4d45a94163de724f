"""The controller's HTTP API, as wxctl uses it. Every method raises WxError with what to do about it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from types import MappingProxyType
from urllib.parse import quote, urlencode

from wxcontroller.cli.clierrors import NoResponse
from wxcontroller.cli.connection.account import AccountView, account_view
from wxcontroller.cli.connection.requests import ANSWER, Connection, RequestBody, json_body
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, text
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

# Longer than any start_timeout or stop_timeout that the settings allow: the controller times out first.
PATIENCE = 660.0
SEND = 180.0  # a message waits its turn in the account's queue
_SOON = 12.0  # longer than a controller needs with a slow systemd
_SILENCE = 45.0  # of a stream, which has a heartbeat every 15 s


class Api(Connection):
    """The calls of a controller that several verbs make. A verb makes one of its own by ``ask`` or ``call``."""

    def resolve(self, name_or_id: str, wait: float = ANSWER) -> AccountName:
        """Return the account that ``name_or_id`` means: a name, or a generated id (x-…) as the journal shows it."""
        if is_derived(name_or_id):
            for account in self.accounts(wait):
                if account.instance == name_or_id:
                    return parse_name(account.name)
            raise UnknownAccount(
                N_("no account has the id {given}"), N_("wxctl list shows the accounts"), given=name_or_id
            )
        return parse_name(name_or_id)

    def probe(self) -> None:
        """Raise ControllerUnreachable when this machine's controller does not answer, and nothing for another one.

        systemd holds the port: it is open while the controller fails to start, and a request would wait for minutes.
        """
        if not self.is_local:
            return
        try:
            self.call("GET", "/v1/health", wait=_SOON)
        except ControllerUnreachable:
            raise
        except NoResponse as problem:
            if problem.exit_code == ControllerUnreachable.exit_code:
                raise ControllerUnreachable(problem.message, problem.remedy) from None
        except WxError:
            return  # it responds, even if with an error

    def health(self) -> JsonObject:
        return self.call("GET", "/v1/health")

    def accounts(self, wait: float = ANSWER) -> list[AccountView]:
        found = items(self.call("GET", "/v1/accounts", wait=wait).get("accounts"))
        return sorted((account_view(row) for row in found), key=lambda account: account.name)

    def account(self, name: AccountName, wait: float = ANSWER) -> AccountView:
        return account_view(self.ask("GET", name, wait=wait))

    def add(
        self, name: AccountName, options: Mapping[str, str], epoch: int = 1, arrived: str = "", adopted: int = 0
    ) -> AccountView:
        """Register an account without starting it. Raises AccountExists."""
        body: JsonObject = {"name": name.name, "options": dict(options)}
        if epoch > 1:
            body |= {"epoch": epoch, "arrived": arrived}
        if adopted:
            body["adopted"] = adopted
        return account_view(self.call("POST", "/v1/accounts", json_body(body), about=name))

    def options(self, name: AccountName) -> JsonObject:
        return self.ask("GET", name, "options")

    def start(self, name: AccountName, options: Mapping[str, str]) -> AccountView:
        """Start an account; the options given are stored with it. Returns when its unit is up."""
        return account_view(
            self.ask("POST", name, "start", body={"options": dict(options)} if options else None, wait=PATIENCE)
        )

    def stop(self, name: AccountName) -> AccountView:
        return account_view(self.ask("POST", name, "stop", wait=PATIENCE))

    def answer(self, name: AccountName, input_id: str, value: str) -> JsonObject:
        """Answer an account's question."""
        return self.ask("POST", name, "input", body={"id": input_id, "value": value})

    def remove(self, name: AccountName) -> JsonObject:
        return self.ask("DELETE", name, wait=PATIENCE)

    def leave(self, name: AccountName, to: str, move: str, sent: bool) -> JsonObject:
        """Mark an account as being moved to another host, and stop it."""
        body: JsonObject = {"to": to, "id": move, "sent": sent}
        return self.call("PUT", path("departures", name.name), json_body(body), name, PATIENCE)

    def stay(self, name: AccountName, move: str) -> JsonObject:
        """Undo ``leave``; the account runs again if it did before."""
        return self._of_move("DELETE", "departures", name, move)

    def has_left(self, name: AccountName, move: str) -> JsonObject:
        """Remove an account that is on the other host now."""
        return self._of_move("POST", "departures", name, move)

    def claimable(self, name: AccountName) -> JsonObject:
        """Return the epoch of the copy on this host, and the other hosts that may have the account."""
        return self.call("GET", path("claims", name.name), about=name)

    def claim(self, name: AccountName) -> JsonObject:
        """Let the copy on this host be the account; it is not started."""
        return self.call("POST", path("claims", name.name), about=name, wait=PATIENCE)

    def arrival(self, name: AccountName, to: str = "") -> JsonObject:
        """Return whether an account can be moved there, or to the host ``to``, and whether it has been."""
        query = {"to": to} if to else {}
        return self.call("GET", path("arrivals", name.name, **query), about=name)

    def arrive(self, name: AccountName, content: Callable[[], Iterable[bytes]]) -> JsonObject:
        """Send an encrypted account to the other host."""
        body = RequestBody("application/octet-stream", -1, content)
        return self.call("PUT", path("arrivals", name.name), body, name, PATIENCE)

    def standby(self, name: AccountName, to: str, content: Callable[[], Iterable[bytes]]) -> JsonObject:
        """Send a sealed bundle of an account to its standby host; return the record stored there."""
        body = RequestBody("application/octet-stream", -1, content)
        return self.call("PUT", path("standbys", name.name, to=to), body, name, PATIENCE)

    def start_arrived(self, name: AccountName, move: str) -> JsonObject:
        """Start an account that a move has brought there; returns when its unit is up."""
        return self._of_move("POST", "arrivals", name, move)

    def send_back(self, name: AccountName, move: str) -> JsonObject:
        """Remove it there again, if it was never started."""
        return self._of_move("DELETE", "arrivals", name, move)

    def _of_move(self, method: str, of: str, name: AccountName, move: str) -> JsonObject:
        return self.call(method, path(of, name.name, id=move), about=name, wait=PATIENCE)

    def sent_events(self, path: str, cursor: str) -> AbstractContextManager[HTTPResponse]:
        """Open a stream of server-sent events, after ``cursor`` ("": from where ``path`` begins)."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": cursor} if cursor else {})
        return self.stream(path, headers, _SILENCE)

    def qr_link(self, name: AccountName) -> str:
        """Return the content of the account's current QR code. Raises WxError without one."""
        answer = self.ask("GET", name, "qr")
        link = text(answer.get("link"))
        if not link and answer.get("jpeg"):
            raise WxError(
                N_("{account} runs a program that provides its QR code only as a picture"),
                N_("get it: curl -f -o qr.jpg '{url}/openwx/get_qrcode?{urlencode}'"),
                account=name.name,
                url=self.shown,
                urlencode=urlencode({"client": name.name}),
            )
        if not link:
            raise WxError(
                N_("{account}: there is no QR code to scan"),
                N_("see: {command}"),
                account=name.name,
                command=command("status", name.name),
            )
        return link

    def put_consumer(self, name: AccountName, consumer: str, options: JsonObject) -> JsonObject:
        """Add an agent, or change it; a new token is in the answer."""
        return self.ask("PUT", name, "consumers", consumer, body=options)

    def sends(self, name: AccountName) -> JsonObject:
        """Return the sends of an account that have not ended."""
        return self.ask("GET", name, "sends")

    def alerts(self) -> JsonObject:
        """Return the alert channels and the current problems."""
        return self.call("GET", "/v1/alerts")

    def fleet(self) -> JsonObject:
        """Return the other hosts of the fleet, and the accounts that more than one host has."""
        return self.call("GET", "/v1/fleet")

    def ask(
        self,
        method: str,
        name: AccountName,
        *parts: str,
        body: Mapping[str, JsonValue] | None = None,
        query: Mapping[str, str] = MappingProxyType({}),
        wait: float = ANSWER,
    ) -> JsonObject:
        """Send a request about an account, below its path, with a JSON ``body``."""
        content = None if body is None else json_body(body)
        return self.call(method, path("accounts", name.name, *parts, **query), content, name, wait)


def path(*parts: str, **query: str) -> str:
    """Return a path below /v1 with a query."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(query)}" if query else "")
