"""The common answer to calls that an account's route does not support (ilink-bot-protocol 14). It precedes all
look-ups, because "group not found" would be misleading.
"""

from collections.abc import Callable, Mapping

from wxcontroller.client.calls.call import Answer, Call, Handler, Parts
from wxcontroller.drivers.base import Capabilities

UNSUPPORTED = -10
_GROUP_CALLS = ("create_group", "invite_friend", "kick_group_member", "set_group_displayname", "send_group_message")
# Friend requests and pinned chats need contact lists.
_CONTACT_CALLS = ("make_friend", "accept_friend_request", "stick")
_NEEDS: Mapping[str, Callable[[Capabilities], bool]] = {
    **dict.fromkeys(_GROUP_CALLS, lambda able: able.groups),
    **dict.fromkeys(_CONTACT_CALLS, lambda able: able.contacts),
    "revoke_message": lambda able: able.recall,
    "get_avatar": lambda able: able.avatars,
}


def offered(name: str, handler: Handler, parts: Parts) -> Handler:
    """Return the handler of a call, or one that reports that the route does not support it."""
    needed = _NEEDS.get(name)
    if needed is None or needed(parts.driver.capabilities):
        return handler
    route = parts.config.options["driver"]

    async def refused(_: Call) -> Answer:
        words = f"the {route} route does not support {name}; use an account on a route that does, see docs/routes.md"
        return {"code": UNSUPPORTED, "status": words}

    return refused
