"""The types of events: names of the original's events (openwx-api 3.3), and kinds of messages."""

# Those of the original's default post_event_list (3.3).
DEFAULT_EVENTS = (
    *("login", "stop", "state_change", "input_qrcode"),
    *("new_friend", "lose_friend", "new_group", "lose_group", "new_group_member", "lose_group_member"),
    "friend_request",
)
# Events about people; check_event never returns the others (3.7).
FOR_CHECK_EVENT = frozenset(
    {
        *(f"{what}_{who}" for what in ("new", "lose") for who in ("friend", "group", "group_member")),
        *(f"{who}_property_change" for who in ("friend", "group", "group_member", "user")),
        "friend_request",
    }
)
EVENTS = FOR_CHECK_EVENT | {*DEFAULT_EVENTS, "update_user", "update_friend", "update_group"}
# For readers of a log that was restored from a backup: positions and numbers after it are new.
RESET = "reset"
MESSAGES = frozenset({"friend_message", "group_message", "group_notice"})
