"""What a program written against openapi-generator's Python client does: ``call.py ADDRESS TOKEN`` prints it."""

import json
import sys

import openapi_client as made


def main(address: str, token: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    with made.ApiClient(made.Configuration(host=address, access_token=token)) as client:
        seen["accounts"] = [account.name for account in made.V1Api(client).get_v1_accounts().accounts]
        original = made.AnAccountApi(client)
        friends = original.get_openwx_get_friend_info(client="alice").actual_instance
        assert isinstance(friends, list)
        to = next(friend.id for friend in friends if friend.id.startswith("@"))
        sent = original.get_openwx_send_friend_message(client="alice", id=to, content="from Java").actual_instance
        assert isinstance(sent, made.Sent)
        seen["sent"] = sent.code
        refused = original.get_openwx_get_friend_info(client="waiting").actual_instance
        assert isinstance(refused, made.Failure)
        seen["refused"] = refused.code
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
