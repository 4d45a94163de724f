"""Problems of accounts in a fleet of several hosts."""

from wxcontroller.core.condition.facts import Assessment, Code, Condition, Issue, Severity
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text


def duplicate_name(name: AccountName, hosts: str) -> Issue:
    """Return the issue of an account that other ``hosts`` have, too."""
    headline = Text(N_("an account of this name also exists on: {hosts}"), hosts=hosts)
    remedy = Text(
        N_("keep the account on one host and remove it on the others: {remove}"), remove=command("remove", name.name)
    )
    return Issue(Code.DUPLICATE, Severity.ERROR, headline, remedy)


def host_unreachable(host: str, reason: Text, since: int, held: Text = NOTHING) -> Assessment:
    """Return the assessment of an account whose host does not answer; ``since`` is in seconds since 1970.

    ``held`` is why no other host runs it, in a fleet with etcd.
    """
    headline = Text(N_("host {host} is unreachable: {reason}"), host=host, reason=reason)
    remedy = Text(N_("check the controller on host {host}: systemctl status wxcontroller"), host=host)
    if held:
        remedy = Text("{what}; {remedy}", what=remedy, remedy=held)
    return Assessment(Condition.UNREACHABLE, (Issue(Code.HOST, Severity.ERROR, headline, remedy, since),))
