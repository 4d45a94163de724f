"""The verb ilink: agents that use an account by the iLink API."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import path
from wxcontroller.cli.connection.requests import json_body
from wxcontroller.cli.context import WxctlRun, complete_name, name_argument
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, objects, text
from wxcontroller.core.text.templates import N_, text_in


@dataclass(frozen=True, slots=True)
class Access:
    """An agent's credentials: its token, the base URL, and the ids that pairing would return."""

    token: str
    base_url: str
    bot_id: str
    user_id: str

    @property
    def cdn_url(self) -> str:
        return f"{self.base_url}/ilink/c2c"


# Which media work, by what each client's published code does with addresses of media.
_MEDIA = N_("media are sent and received through the controller")
_FIXED = N_(
    "media do not work: the program requests them at WeChat's own address, which cannot be set; WeChat then gets "
    "parameters that are valid only here"
)
_NO_MEDIA = N_("the program has no media")
_OTHERS = N_("media work if the program uses full_url and upload_full_url, or the CDN base URL")


@dataclass(frozen=True, slots=True)
class CredentialsForm:
    """The format and place of the credentials of one kind of client; ``media`` says which media work with it."""

    place: str
    content: Callable[[Access], JsonObject]
    media: str = _MEDIA

    def written(self, access: Access) -> str:
        return json.dumps(self.content(access), indent=2)


class Variables(CredentialsForm):
    """Environment variables."""

    def written(self, access: Access) -> str:
        return "\n".join(f"{name}={shlex.quote(text(value))}" for name, value in self.content(access).items())


# From each client's published code.
FORMS: Mapping[str, CredentialsForm] = {
    "openclaw": CredentialsForm(
        N_(
            '~/.openclaw/openclaw-weixin/accounts/{file}.json; add "{file}" to the list in accounts.json next to '
            "that directory, and set cdnBaseUrl of the channel openclaw-weixin to {cdn}"
        ),
        lambda it: {"token": it.token, "baseUrl": it.base_url, "userId": it.user_id},
    ),
    "wechatbot": CredentialsForm(
        N_("~/.wechatbot/credentials.json"),
        lambda it: {"token": it.token, "baseUrl": it.base_url, "accountId": it.bot_id, "userId": it.user_id},
        _FIXED,
    ),
    "weilink": CredentialsForm(
        N_("~/.weilink/default/token.json"),
        lambda it: {"bot_id": it.bot_id, "base_url": it.base_url, "token": it.token, "user_id": it.user_id},
    ),
    "openilink": CredentialsForm(
        N_("the arguments of Client"),
        lambda it: {"token": it.token, "base_url": it.base_url, "cdn_base_url": it.cdn_url},
        _NO_MEDIA,
    ),
    "astrbot": CredentialsForm(
        N_("the platform weixin_oc in AstrBot's configuration"),
        lambda it: {
            "weixin_oc_base_url": it.base_url,
            "weixin_oc_cdn_base_url": it.cdn_url,
            "weixin_oc_token": it.token,
        },
    ),
    "langbot": CredentialsForm(
        N_("the WeChat adapter in LangBot's configuration"),
        lambda it: {"base_url": it.base_url, "token": it.token},
        _FIXED,
    ),
    "hermes": Variables(
        N_("~/.hermes/.env"),
        lambda it: {
            "WEIXIN_BASE_URL": it.base_url,
            "WEIXIN_CDN_BASE_URL": it.cdn_url,
            "WEIXIN_TOKEN": it.token,
            "WEIXIN_ACCOUNT_ID": it.bot_id,
        },
    ),
    "json": CredentialsForm(
        N_("where the agent reads its credentials"),
        lambda it: {
            "token": it.token,
            "base_url": it.base_url,
            "cdn_base_url": it.cdn_url,
            "ilink_bot_id": it.bot_id,
            "ilink_user_id": it.user_id,
        },
        _OTHERS,
    ),
}


@verb_group(
    "Connect AI agents to accounts through the iLink API.",
    "wxctl ilink approve URL --account alice --consumer helper",
    "wxctl ilink credentials alice helper --for astrbot",
    "wxctl ilink consumers alice",
    "wxctl ilink revoke alice helper",
)
def ilink() -> None:
    """Connect AI agents to accounts through the iLink API.

    Each agent, which the API calls a consumer, has its own token for one account. The setting ilink_serve
    enables the API.
    """


@ilink.verb("Approve an agent that requests a token.", "wxctl ilink approve URL --account alice --consumer helper")
@click.argument("link", metavar="URL")
@click.option(
    "--account", required=True, metavar="NAME", shell_complete=complete_name, help="Account that the agent may use."
)
@click.option("--consumer", required=True, metavar="NAME", help="Name of the agent.")
@click.option(
    "--groups",
    type=click.Choice(("off", "on", "at")),
    help="Group messages; at: only those that mention the account.",
)
@click.option(
    "--when-held",
    type=click.Choice(("refuse", "accept", "drop")),
    help="Answer to sends that must wait for the person to write.",
)
def approve(
    session: WxctlRun, link: str, account: str, consumer: str, groups: str | None, when_held: str | None
) -> None:
    """Approve the agent that shows the link URL. It receives a token for this account, under this name."""
    code = unquote(urlsplit(link).path.rpartition("/ilink/pair/")[2] if "/" in link else link)
    if not code or "/" in code:
        raise BadUsage(
            N_("not a pairing link: {link}"), N_("pass the link that the agent shows: …/ilink/pair/CODE"), link=link
        )
    options: JsonObject = {"groups": groups, "when_held": when_held}
    settings: JsonObject = {key: value for key, value in options.items() if value is not None}
    body = json_body({"account": account, "consumer": consumer, **settings})
    approved = session.api().call("POST", path("ilink", "pairings", code), body)
    if session.emitted(approved):
        return
    if digits := text(approved.get("digits")):
        tell("enter these digits in the agent: {digits}", digits=digits)
    else:
        tell("{consumer} may use {account} now", consumer=consumer, account=account)


@ilink.verb("List open pairing requests.", "wxctl ilink requests")
def requests(session: WxctlRun) -> None:
    """List the open pairing requests of agents. To approve one, use the link that the agent shows."""
    rows = objects(session.api().call("GET", "/v1/ilink/pairings").get("pairings"))
    if session.emitted(list[JsonValue](rows)):
        return
    if not rows:
        tell("no pairing request is open", err=True)
        return
    from wxcontroller.cli.output.terminal import ago, print_rows

    titles = N_("ADDRESS"), N_("SINCE"), N_("ACCOUNT"), N_("AGENT")
    cells = [
        (
            text(row.get("address")),
            ago(integer(row.get("asked_at"))),
            text(row.get("account")),
            text(row.get("agent")),
        )
        for row in rows
    ]
    print_rows(titles, cells, wraps="AGENT")


@ilink.verb("List the agents of an account.", "wxctl ilink consumers alice")
@name_argument
def consumers(session: WxctlRun, name: str) -> None:
    """List the agents of an account with their state and the ids of their tokens."""
    api, account = session.account(name)
    answer = api.ask("GET", account, "consumers")
    rows = objects(answer.get("consumers"))
    if session.emitted(list[JsonValue](rows)):
        return
    if reason := text_in(answer, "reason"):
        tell("wxctl: the state of agents is unknown: {reason}", err=True, reason=reason)
    if not rows:
        tell("no agent uses {account}", err=True, account=name)
        return
    _print(rows)


@ilink.verb("Remove an agent and revoke its token.", "wxctl ilink revoke alice helper")
@name_argument
@click.argument("consumer")
def revoke(session: WxctlRun, name: str, consumer: str) -> None:
    """Remove an agent from an account and revoke its token immediately. Its position in the messages is lost."""
    api, account = session.account(name)
    removed = api.ask("DELETE", account, "consumers", consumer)
    if not session.emitted(removed):
        tell("{consumer} no longer uses {account}", consumer=consumer, account=name)


@ilink.verb(
    "Print an agent's credentials in the format of its program.",
    "wxctl ilink credentials alice helper --for weilink >token.json",
)
@name_argument
@click.argument("consumer")
@click.option("--for", "kind", type=click.Choice(tuple(FORMS)), required=True, help="The agent's program.")
@click.option(
    "--base-url", metavar="URL", help="Base URL at which the agent reaches the controller [default: --url]."
)
def credentials(session: WxctlRun, name: str, consumer: str, kind: str, base_url: str | None) -> None:
    """Add an agent, or replace its token, and print its credentials. The previous token stops working.

    Most iLink clients can pair only with WeChat's server. They read the token and the base URL from a file.
    """
    api, account = session.account(name)
    made = api.put_consumer(account, consumer, {"token": True})
    url = (base_url or api.shown).rstrip("/")
    access = Access(text(made["token"]), url, text(made.get("ilink_bot_id")), text(made.get("ilink_user_id")))
    form = FORMS[kind]
    click.echo(form.written(access))
    if not access.bot_id:
        tell("wxctl: the account is stopped, so the agent's ids are missing; start it, and run this again", err=True)
    file = access.bot_id.replace("@", "-").replace(".", "-")
    tell(
        "wxctl: location for these credentials: {place}",
        err=True,
        place=say(form.place, file=file, cdn=access.cdn_url),
    )
    tell("wxctl: {media}", err=True, media=say(form.media))


def _print(rows: list[JsonObject]) -> None:
    from wxcontroller.cli.output.terminal import ago, print_rows

    titles = (
        N_("NAME"),
        N_("STATE"),
        N_("LAST POLL"),
        N_("BEHIND"),
        N_("SENT"),
        N_("HELD"),
        N_("TOKEN"),
        N_("AGENT"),
    )
    lines = []
    for row in rows:
        state = say(N_("online")) if row.get("online") else say(N_("offline"))
        last = ago(integer(row.get("last_poll"))) or "-"
        token = text(field(row.get("access"), "id")) or say(N_("none"))
        numbers = [str(integer(row.get(key))) for key in ("behind", "sent", "held")]
        lines.append((text(row.get("name")), state, last, *numbers, token, text(row.get("bot_agent"))))
    print_rows(titles, lines, wraps="AGENT")
