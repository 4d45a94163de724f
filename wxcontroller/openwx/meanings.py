"""What the fields of the described schemas mean, for the OpenAPI documents and the page made of them."""

from collections.abc import Mapping

from wxcontroller.core.jsontypes import JsonObject, obj

_PERSON: Mapping[str, str] = {
    "account": "account name, where WeChat tells one",
    "city": "city, as written in the profile",
    "display": "name to show, where WeChat tells one",
    "displayname": "what to show: remark, nickname or name",
    "id": "for calls; another one after the next login",
    "markname": "remark; of a member the nickname in the group",
    "name": "name that the person has chosen",
    "province": "province, as written in the profile",
    "sex": "empty if unknown",
    "signature": "line under the name",
    "uid": "number that outlasts logins, where WeChat tells one",
}
_GROUP: Mapping[str, str] = {
    "id": "for calls; another one after the next login",
    "uid": "number that outlasts logins, where WeChat tells one",
    "owner_uid": "uid of its owner",
    "name": "its name",
    "displayname": "what to show: its name, or its members",
}
_DONE: Mapping[str, str] = {
    "code": "0 when it was done",
    "status": "success, or why not",
}
_PROGRAM: Mapping[str, str] = {
    **_DONE,
    "account": "name of the account",
    "pid": "number of the process",
    "starttime": "when it began, in seconds since 1970",
    "runtime": "seconds since then",
}
_ACCOUNT: Mapping[str, str] = {
    "name": "its name, for people and calls",
    "instance": "its id: the name, where that is plain",
    "unit": "its unit of systemd",
    "driver": "route to WeChat",
    "epoch": "1, and one more with each move to another host",
    "desired": "what somebody asked for; it outlasts reboots",
    "unit_state": "what systemd says of the unit; absent: it has not loaded it",
    "unit_sub": "what systemd says of it more closely",
    "login_state": "where the login is; null: a running program does not tell",
    "state": "the same in the original's word",
    "status": "what is going on, in words",
    "since": "since when the login is there, in seconds since 1970",
    "reason": "why it waits, hangs or has given up, in words",
    "input": "what it waits for a person to give, with its risk; null for nothing",
    "pid": "number of its process",
    "port": "its own port on 127.0.0.1",
    "post_api": "where reports are posted, without secrets",
    "proxy": "proxy for all traffic with WeChat, without secrets",
    "qrcode": "whether a QR code waits to be scanned",
    "qrcode_number": "which one it is since the process began",
    "qrcode_try": "the number of this QR code among those shown before the account gives up; null: unknown",
    "qrcode_limit": "how many are shown; null: unknown",
    "qrcode_until": "when the next one is due, in seconds since 1970; null: unknown",
    "user": "who is logged in",
    "avatar": "path of the user's picture, on a route that has pictures",
    "heartbeats": (
        "a letter for each of the last 50 minutes, this one last: r running, o not running, n no process; "
        "null without a process"
    ),
    "hourly_messages": "messages received and sent in each of the last 24 hours, this one last",
    "start_time": "when its process began, in seconds since 1970",
    "condition": "how it is, in one word",
    "severity": "how bad that is; from warning on it is in trouble",
    "advice": "the issue to look at first; null: nothing is wrong",
    "issues": "everything that is wrong with it, the worst first",
}
_TOLD: Mapping[str, str] = {
    "client": "its program; null when it does not answer",
    "client_reason": "why it does not answer",
    "queue": "what is to be sent",
    "reports": "what is to be posted, and what became of it",
    "media": "what is kept of received media",
    "roster": "how many people and groups are known",
    "last_message_time": "when a message came or went last, in seconds since 1970",
    "last_sync_time": "when WeChat was heard last, in seconds since 1970",
    "memory": "bytes that the process holds",
}
_CONSUMER: Mapping[str, str] = {
    "name": "its name",
    "ilink_bot_id": "the bot id that it sees",
    "options": "the messages that it receives, and the answers to its sends",
    "online": "whether it has reported that it is running",
    "polling": "whether it is waiting for messages now",
    "last_poll": "the time of its last request for messages, in seconds since 1970; null: never",
    "bot_agent": "the name by which it identifies itself",
    "channel_version": "the version of its client",
    "sent": "messages that it has sent",
    "held": "its sends that are held until the person writes",
}
_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "Consumer": _CONSUMER,
    "Reply": {**_DONE, "reason": "more about why not"},
    "Failure": {"code": "not 0", "status": "why not"},
    "User": _PERSON,
    "Friend": {**_PERSON, "category": "what it is: friend, official account or WeChat's own, in Chinese"},
    "Member": _PERSON,
    "Group": {**_GROUP, "member": "all members"},
    "GroupWithoutMembers": _GROUP,
    "Sent": {**_DONE, "id": "of the message", "media_id": "to send the same again", "reason": "more about why not"},
    "Answered": {
        **_DONE,
        "id": "of the message that was sent",
        "reply": "what came back",
        "reply_status": "success, or why nothing came back",
    },
    "Media": {
        **_DONE,
        "media_code": "kind by its number",
        "media_ext": "extension",
        "media_id": "to send it by",
        "media_mime": "type",
        "media_mtime": "seconds since 1970",
        "media_name": "file name",
        "media_path": "where it came from",
        "media_size": "size in bytes",
        "media_type": "kind",
    },
    "Report": {"post_type": "what it is about; the other fields are those of its kind"},
    "ClientInfo": {
        **_PROGRAM,
        "log_level": "how much goes to the journal",
        "os": "system that it runs on",
        "queued": "sends that wait",
        "state": "where the login is, in the original's word",
        "version": "version of the program",
    },
    "Stopping": _PROGRAM,
    "Counts": {
        "account": "name of the account",
        "held": "reports whose media is being fetched",
        "pending": "reports that wait to be taken",
        "retrying": "of these, how many are in the retry lane, behind which no other waits",
        "dead": "dead letters",
        "unacknowledged": "of these, how many nobody has acknowledged",
        "dropped": "reports that were lost, as the log was full",
        "dropped_at": "when one was lost last, in seconds since 1970; null: never",
        "damaged_at": "when a damaged log was last replaced by a new one, in seconds since 1970; null: never",
        "to": "where they go; null: nowhere",
        "oldest_since": "since when the oldest waits, in seconds since 1970",
        "last_error": "why the last try failed; empty: it did not",
        "trouble": "why nothing can be written; empty: it can",
        "last_attempt": "when a report was last posted, the HTTP status and the time it took; null: not yet",
    },
    "Delivery": {
        "id": "the event's id",
        "type": "type of the event",
        "last_error": "why the last try failed; empty: it did not",
        "seq": "number of the event, growing",
        "attempts": "how often it was tried",
        "lane": "where it waits: queue or retry; null: it does not",
        "bytes": "size of its report",
        "time": "when it happened, in seconds since 1970",
        "state": "held, pending, delivered, dead, kept or purged",
        "next_at": "when it is tried again, in seconds since 1970",
        "last_status": "HTTP status of the last try",
        "settled_at": "when it was taken or given up, in seconds since 1970",
        "direction": "in or out; null: it is no message, or a large one",
        "sender": "name of the message's sender",
        "receiver": "name of its receiver",
        "group": "name of its group",
    },
    "Event": {
        "id": "the same at every delivery",
        "account": "name of the account",
        "type": "name of the event, or friend_message, group_message, group_notice",
        "seq": "number of the event, growing",
        "stamp": "when it was stored, in microseconds since 1970; no two are the same",
        "time": "when it happened, in seconds since 1970",
        "report": "as post_api gets it",
    },
    "Choice": {"ids": "ids of events", "all": "all that are in these states"},
    "Account": _ACCOUNT,
    "Issue": {
        "code": "what is wrong, for programs",
        "severity": "how bad it is",
        "since": "since when, in seconds since 1970; null: unknown",
        "message": "what is wrong, in English",
        "remedy": "what to do about it, in English",
        "values": "values in the two texts, by name",
        "message_text": "template and values of the message",
        "remedy_text": "template and values of the remedy",
    },
    "Told": _TOLD,
    "Status": {**_ACCOUNT, **_TOLD, "version": "version of the program"},
    "Queue": {
        "waiting": "sends that wait",
        "in_flight": "sends that are on their way",
        "most_waiting": "most sends that wait; more are refused",
        "sent_today": "how many were sent today",
        "daily_limit": "most sends in a day; 0: any number",
        "burst_limit": "most sends in a minute; 0: any number",
        "oldest_since": "since when the oldest waits, in seconds since 1970",
        "next_send_at": "when the next may go, in seconds since 1970",
        "held": "whether it waits for the login",
        "last_error": "why the last try failed; empty: it did not",
        "interval": "smallest pause between two sends, in seconds",
        "jitter": "what is added to it at most, at random",
    },
    "Health": {
        "status": "degraded: systemd does not answer",
        "version": "version of the controller",
        "uptime": "seconds since it began",
        "draining": "whether it is about to end",
        "notices": "what its administrator should know, in words",
        "settings": "when the settings were read, and what is wrong with them now",
        "reason": "why it is degraded",
        "accounts": "how many there are, by what they are",
    },
    "Started": {
        **_DONE,
        "account": "name of the account",
        "client": "name of the account",
        "pid": "number of its process",
        "port": "its own port on 127.0.0.1",
    },
    "Refusal": {"error": "why not"},
    "Reason": {
        "code": "what kind of failure it is",
        "message": "what failed",
        "remedy": "what to do about it",
        "values": "what message and remedy are about, by name",
    },
    "Text": {
        "template": "the English text; {NAME} stands for a value",
        "plural": "the same for any number n but one",
        "values": "what stands for each name: text, a number, or a text as data",
    },
    "AccountState": {"account": "name of the account", "state": "where the login is, in the original's word"},
}


def explained(name: str, schema: JsonObject) -> JsonObject:
    """Return a schema with what its fields mean, where they don't say so themselves."""
    meanings = _MEANINGS.get(name)
    if not meanings:
        return schema
    properties: JsonObject = {
        field: {"description": meanings[field], **obj(kind)} if field in meanings else kind
        for field, kind in obj(schema.get("properties")).items()
    }
    return {**schema, "properties": properties}
