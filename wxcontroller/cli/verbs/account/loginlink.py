"""The verb login-link: a link that lets another person scan an account's code."""

from urllib.parse import urljoin, urlsplit

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.jsontypes import integer, text
from wxcontroller.core.net.addresses import is_loopback_host
from wxcontroller.core.text.templates import N_


@verb(
    "Create a link that lets another person scan the QR code.",
    "wxctl login-link alice",
    "wxctl login-link alice --base https://wx.example",
)
@name_argument
@click.option(
    "--base",
    metavar="URL",
    help="URL at which the other person's browser reaches the dashboard [default: the controller's URL].",
)
def login_link(session: WxctlRun, name: str, base: str | None) -> None:
    """Print a link that shows an account's QR code to a person without a token.

    The link is valid for 15 minutes, for this account, for one login, and in the browser that opens it first.
    Anyone who has the link can log in the account, so send it to one person only. On the iLink route, only the
    WeChat user who was logged in last is accepted.
    """
    api = session.api()
    base = (base or api.shown).rstrip("/") + "/"
    if urlsplit(base).scheme not in ("http", "https"):
        raise BadUsage(N_("{base} is not a URL"), N_("use one like https://wx.example"), base=base)
    made = api.ask("POST", api.resolve(name), "login-links")
    made["url"] = urljoin(base, text(made.get("url")))  # of another host, it is absolute
    if session.emitted(made):
        return
    click.echo(text(made["url"]))
    minutes = (integer(made.get("expires")) - integer(made.get("created"))) // 60
    tell(N_("valid for {minutes} minutes, one browser and one login"), err=True, minutes=minutes)
    host = urlsplit(base).hostname or ""
    if is_loopback_host(host):
        tell(N_("this link works on this machine only; to create one for others, use --base URL"), err=True)
