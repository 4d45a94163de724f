"""Examples of the calls that most programs make, for the page of the API. A test holds them to the document."""

from collections.abc import Mapping
from dataclasses import dataclass

_AT = "http://127.0.0.1:2000"
_JSON = "-H 'Content-Type: application/json'"


@dataclass(frozen=True, slots=True)
class Example:
    """A command and its answer, reduced to the relevant members."""

    command: str
    answer: str


# By the document's operationId.
EXAMPLES: Mapping[str, Example] = {
    "post_v1_accounts": Example(
        f'curl {_JSON} -d \'{{"name": "alice", "options": {{"send_interval": 5}}}}\' {_AT}/v1/accounts',
        '{"name": "alice", "desired": "stopped", "unit_state": "absent", "port": 3000, …}',
    ),
    "post_v1_accounts_name_start": Example(
        f'curl {_JSON} -d \'{{"options": {{"post_api": "http://127.0.0.1/hook"}}}}\' {_AT}/v1/accounts/alice/start',
        '{"name": "alice", "desired": "started", "unit_state": "active", "result": "started", …}',
    ),
    "get_v1_accounts_name_qr": Example(
        f"curl -o code.svg '{_AT}/v1/accounts/alice/qr?format=svg'",
        "",
    ),
    "patch_v1_accounts_name_options": Example(
        f'curl -X PATCH {_JSON} -d \'{{"send_interval": 5, "lang": null}}\' {_AT}/v1/accounts/alice/options',
        '{"name": "alice", "note": "the options are stored and apply from the next start", …}',
    ),
    "get_v1_events": Example(
        f"curl -N '{_AT}/v1/events?account=alice'",
        'id: …\nevent: friend_message\ndata: {"account": "alice", "seq": 7, "report": {…}, …}',
    ),
    "post_v1_accounts_name_deliveries_replay": Example(
        f'curl {_JSON} -d \'{{"state": "dead"}}\' {_AT}/v1/accounts/alice/deliveries/replay',
        '{"account": "alice", "replayed": 3, "pending": 3, "dead": 0, …}',
    ),
    "get_openwx_search_friend": Example(
        f"curl -G --data-urlencode 'displayname=小明' '{_AT}/openwx/search_friend?client=alice'",
        '[{"id": "@2b1f…", "displayname": "小明", "category": "好友", …}]',
    ),
    "get_openwx_send_friend_message": Example(
        f"curl -d id=@2b1f… --data-urlencode 'content=你好' '{_AT}/openwx/send_friend_message?client=alice'",
        '{"code": 0, "status": "success", "id": "8160353391416301062:@2b1f…"}',
    ),
    "get_openwx_check_event": Example(
        f"curl '{_AT}/openwx/check_event?client=alice'",
        '[{"post_type": "receive_message", "type": "friend_message", "content": "你好", …}]',
    ),
}
