"""The controller's part in consumers, apart from forwarding their calls."""

from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.callers.refusals import BadRequest, NotServed
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_, Text, text_in

_SECONDS = 10.0


def need_served(settings: Settings) -> None:
    """Raise NotServed while the API is off."""
    if not settings.ilink_serve:
        raise NotServed(
            N_("the iLink API is off"),
            N_("set ilink_serve = true in wxcontroller.toml, then: systemctl reload wxcontroller"),
        )


async def keep(ports: AccountPorts, account: Account, name: str, options: JsonObject) -> JsonObject:
    """Have the account's process keep a consumer with these options; return the consumer.

    Raises BadRequest with the program's own words, and PortFailure.
    """
    status, content = await ports.ask(account, f"/v1/consumers/{name}", _SECONDS, Scope.ADMIN, "PUT", options)
    if status not in (200, 201):
        problem = content.get("error")
        words = text_in(problem, "message") or Text(N_("its process answered {status}"), status=status)
        raise BadRequest(words, text_in(problem, "remedy"))
    return content
