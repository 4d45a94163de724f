"""The verb remark: the name that is shown for a person."""

import click

from wxcontroller.cli.connection.api import SEND
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.traffic.send import find
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import one_line
from wxcontroller.core.text.templates import N_


@verb("Set the name of a person.", "wxctl remark alice o9cq8UPTz@im.wechat 王芳", "wxctl remark alice 王芳 ''")
@name_argument
@click.argument("person")
@click.argument("remark")
def remark(session: WxctlRun, name: str, person: str, remark: str) -> None:
    """Set the name that wxctl, the dashboard and reports show for PERSON, an id or an exact name.

    An empty REMARK removes it. On iLink, where WeChat gives people no names, it is stored with the account; on the
    other routes it is WeChat's remark and shown on the phone, too.
    """
    api, account = session.account(name)
    found = find(api, account, person, only_groups=False)
    if found.group:
        raise WxError(N_("{person} is a group"), N_("rename it on the phone"), person=found.shown)
    contact = api.ask("PATCH", account, "contacts", found.id, body={"remark": remark}, wait=SEND)
    if not session.emitted(contact):
        tell(N_("{person} is shown as {name}"), person=found.id, name=one_line(contact.get("name")))
