"""What check_event keeps: so many reports, and so much of their contents."""

from wxcontroller.client.checkevent import EventRing
from wxcontroller.core.jsontypes import JsonObject


def report(number: int, content: str = "", data: str = "") -> JsonObject:
    return {"id": str(number), "content": content, "media_data": data, "media_path": "/p"}


async def kept(ring: EventRing) -> list[JsonObject]:
    return await ring.take(0.01)


async def test_older_media_lose_their_content_and_keep_their_path() -> None:
    ring = EventRing(20, limit=100)
    for number in range(5):
        ring.put(report(number, "[图片]", "x" * 40))
    found = await kept(ring)
    assert [one["media_data"] for one in found] == ["", "", "", "x" * 40, "x" * 40]
    assert {str(one["media_path"]) for one in found} == {"/p"}
    assert ring.dropped == 0
    # What was taken weighs nothing any more.
    ring.put(report(5, "", "x" * 90))
    ring.put(report(6))
    assert [len(str(one["media_data"])) for one in await kept(ring)] == [90, 0]


async def test_media_are_kept_for_those_who_ask_for_events() -> None:
    ring = EventRing(20)
    for number in range(4):
        ring.put(report(number, data="x" * 700_000))
    assert [len(str(one["media_data"])) for one in await kept(ring)] == [0, 0, 0, 700_000]
    for number in range(4):  # somebody does
        ring.put(report(number, data="x" * 700_000))
    assert [len(str(one["media_data"])) for one in await kept(ring)] == [700_000] * 4


async def test_of_texts_too_long_to_be_kept_the_oldest_go_and_are_counted() -> None:
    ring = EventRing(20, limit=100)
    for number in range(5):
        ring.put(report(number, "长" * 40))
    assert [one["id"] for one in await kept(ring)] == ["3", "4"]
    assert ring.dropped == 3
    ring.put(report(5, "长" * 500))  # the newest is there, however long it is
    assert [one["id"] for one in await kept(ring)] == ["5"]
