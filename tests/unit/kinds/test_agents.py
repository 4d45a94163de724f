"""Every kind of message from WeChat to an agent: which item it is, and that nothing of a login's is in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.unit.client.ilink_agent import Agent
from tests.unit.kinds.stage import staged
from tests.unit.kinds.table import FRIEND, INCOMING, SILENT, Incoming
from tests.unit.kinds.test_incoming import deliver
from wxcontroller.core.jsontypes import JsonObject, obj, text

TYPES = {"image": 2, "emoticon": 2, "voice": 3, "file": 4, "video": 5, "microvideo": 5}


def is_left_out(kind: Incoming) -> bool:
    """System messages, and messages that were taken back."""
    return kind.type.startswith("1000") or kind.format == "revoke"


def expected(kind: Incoming, report: JsonObject) -> tuple[int, str]:
    """The type of a kind's item, and its text if it is one."""
    if kind.media and report["media_size"]:
        return TYPES[kind.media], ""
    if kind.format == "app":
        title, url = text(report["app_title"]), text(report["app_url"])
        return 1, f"{title}\n{url}" if url else title
    if kind.media == "emoticon":
        return 1, "[表情]"
    return 1, "[视频] (content not available)" if kind.media else text(report["content"])


async def test_each_kind_is_an_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wxcontroller.client.ilink import polling

    async with staged(tmp_path) as stage:
        monkeypatch.setattr(polling, "HOLD_SECONDS", 0.0)
        agent = Agent(stage.client)
        await agent.messages()
        monkeypatch.setattr(polling, "HOLD_SECONDS", PATIENCE)
        wanted: dict[str, tuple[int, str]] = {}
        for kind in INCOMING:
            if FRIEND not in kind.where:
                continue
            first = await deliver(stage, FRIEND, kind.first) if kind.first else {}
            if first:
                wanted[text(first["msg_id"])] = 1, text(kind.first["text"]) if kind.first else ""
            body = {**kind.body, **({"msg_id": first["msg_id"]} if first else {})}
            made = await deliver(stage, FRIEND, body)
            report = await stage.report(text(made["msg_id"]))
            if not is_left_out(kind):
                wanted[text(made["msg_id"])] = expected(kind, report)
        for body in SILENT.values():
            await deliver(stage, FRIEND, body)
        got: dict[str, Any] = {}
        while len(got) < len(wanted):
            found = await agent.messages()
            assert found, wanted.keys() - got.keys()
            got |= {str(message["message_id"]): message for message in found}
        shown = {
            number: (item["type"], item["text_item"]["text"] if item["type"] == 1 else "")
            for number, message in got.items()
            for item in message["item_list"]
        }
        assert shown == wanted
        voices = [obj(item.get("voice_item")) for message in got.values() for item in message["item_list"]]
        assert [voice["playtime"] for voice in voices if voice] == [1580]
        everything = json.dumps(list(got.values()), ensure_ascii=False)
        assert stage.username(stage.friend) not in everything
        assert str(tmp_path) not in everything
