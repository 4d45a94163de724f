"""What a program written against the generated Python client does: ``use.py ADDRESS TOKEN`` prints it."""

import json
import sys

from made import AuthenticatedClient
from made.api.an_account import get_openwx_get_friend_info, post_openwx_send_friend_message
from made.api.v1 import (
    get_v1_accounts,
    get_v1_accounts_name,
    get_v1_accounts_name_events,
    get_v1_accounts_name_qr,
    post_v1_accounts_name_start,
)
from made.models import (
    Friend,
    Options,
    PostOpenwxSendFriendMessageBody,
    PostV1AccountsNameStartBody,
    Refusal,
    Sent,
)


def main(address: str, token: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    with AuthenticatedClient(base_url=address, token=token, raise_on_unexpected_status=True) as client:
        accounts = get_v1_accounts.sync(client=client)
        assert accounts is not None and not isinstance(accounts, Refusal) and hasattr(accounts, "accounts")
        seen["accounts"] = [account.name for account in accounts.accounts]
        nobody = get_v1_accounts_name.sync("nobody", client=client)
        assert isinstance(nobody, Refusal)
        seen["refused"] = str(nobody.error.code)
        options = PostV1AccountsNameStartBody(options=Options(send_interval=3))
        started = post_v1_accounts_name_start.sync("alice", client=client, body=options)
        seen["started"] = getattr(started, "result", None)
        friends = get_openwx_get_friend_info.sync(client=client, client_query="alice")
        assert isinstance(friends, list)
        friend = next(friend for friend in friends if isinstance(friend, Friend) and friend.id.startswith("@"))
        body = PostOpenwxSendFriendMessageBody(id=friend.id, content="from Python")
        sent = post_openwx_send_friend_message.sync(client=client, client_query="alice", body=body)
        assert isinstance(sent, Sent)
        seen["sent"] = sent.code
        page = get_v1_accounts_name_events.sync("alice", client=client, limit=200)
        assert page is not None and hasattr(page, "events")
        seen["events"] = [event.type_ for event in page.events]
        code = get_v1_accounts_name_qr.sync("waiting", client=client)
        seen["code"] = code is not None
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
