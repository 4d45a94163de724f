"""Selects the host of a new account, in a fleet with etcd. Each host decides for the calls that it receives."""

from collections import Counter
from collections.abc import Collection

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.owners import Owners


class NoHost(WxError):
    """No host is suitable for a new account."""

    code = "no-host"
    status = 409
    exit_code = 5


def host_for(account: str, placement: str, owners: Owners, reachable: Collection[str]) -> str:
    """Return the host with the most free places of those that have a lease and are ``reachable``; else this one.

    Each word of ``placement`` has to be the host's name, egress or one of its labels. Raises NoHost.
    """
    words = set(placement.split())
    free = {
        name: places
        for name, places in free_places(owners).items()
        if name in reachable and places > 0 and words <= owners.hosts[name].words(name)
    }
    if not words and not free and owners.name not in owners.hosts:
        return owners.name  # which says that it has no lease
    if not free:
        raise NoHost(
            N_("no host takes account {account}: none that responds has a lease, a free place and all of: {words}"),
            N_("wxctl fleet shows the hosts with labels and capacity; change the option placement, or add a host"),
            account=account,
            words=" ".join(sorted(words)) or "-",
        )
    # This host among equals, which saves forwarding the call.
    return max(free, key=lambda name: (free[name], name == owners.name, name))


def free_places(owners: Owners) -> dict[str, int]:
    """Return how many more accounts each host that has a lease takes."""
    taken = Counter(record.host for record in owners.owned.values() if record.is_wanted)
    return {name: host.capacity - taken[name] for name, host in owners.hosts.items()}
