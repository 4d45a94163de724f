"""The address book and details."""

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, sandbox_and_browser
from wxcontroller.sandbox.sandbox import Options


async def test_init_knows_unsaved_groups_and_the_address_book_does_not(online: Browser) -> None:
    init = await online.init()
    book = (await online.contacts())["MemberList"]
    in_init = {c["UserName"] for c in init["ContactList"]}
    in_book = {c["UserName"] for c in book}
    chat_set = set(init["ChatSet"].split(","))
    assert init["ChatSet"].endswith(",")
    groups = (await online.api("GET", f"/accounts/{UIN}"))["groups"]
    unsaved = {g["username"] for g in groups if not g["saved"]}
    assert unsaved
    assert not unsaved & in_book
    assert unsaved & in_init
    assert (unsaved & chat_set) - in_init, "one is only in ChatSet"
    assert "filehelper" in in_init
    assert "filehelper" not in in_book
    assert online.me in in_book
    nameless = next(c for c in init["ContactList"] if c["UserName"].startswith("@@"))
    assert {m["NickName"] for m in nameless["MemberList"]} == {""}


async def test_book_has_every_kind_and_raw_markup(online: Browser) -> None:
    book = (await online.contacts())["MemberList"]
    names = {c["NickName"] for c in book}
    assert "A&amp;B 工作室" in names
    assert '阿丁<span class="emoji emoji1f604"></span>' in names
    assert '<span class="emoji emoji1f1e81f1f3"></span>旅行家<span class="emoji emoji1f1e81f1f3"></span>' in names
    assert "&amp;lt;b&amp;gt;" in names
    assert {c["RemarkName"] for c in book} >= {"同事小明", "张叔 &amp; 李婶"}
    assert any(c["VerifyFlag"] & 8 and c["UserName"].startswith("@") for c in book)
    assert any(c["UserName"] == "weixin" and c["VerifyFlag"] == 56 for c in book)
    saved = [c for c in book if c["UserName"].startswith("@@")]
    assert saved
    assert all(c["MemberCount"] == 0 and c["MemberList"] == [] for c in saved)
    assert {len(c["UserName"]) for c in book if c["UserName"].startswith("@")} == {33, 65, 66}


async def test_pages() -> None:
    async with sandbox_and_browser(Options(contact_page=15)) as (_, browser):
        await browser.log_in(UIN)
        names, seq, pages = [], 0, 0
        while True:
            page = await browser.contacts(seq)
            assert page["MemberCount"] == len(page["MemberList"])
            names += [c["UserName"] for c in page["MemberList"]]
            pages, seq = pages + 1, page["Seq"]
            if seq == 0:
                break
        assert pages == 3
        assert len(names) == len(set(names)) == 44


async def test_batch_gives_groups_with_members_and_member_details(online: Browser) -> None:
    details = await online.api("GET", f"/accounts/{UIN}")
    group = details["groups"][0]
    stranger = next(m for m in group["members"] if m["kind"] == "stranger")
    first = await online.batch(group["username"], "@nobody", "filehelper")
    assert [c["UserName"] for c in first["ContactList"]] == ["filehelper", group["username"]], "order is not ours"
    room = first["ContactList"][1]
    assert room["MemberCount"] == len(room["MemberList"]) == 12
    assert room["IsOwner"] == 1
    assert {m["DisplayName"] for m in room["MemberList"]} > {"", "领队"}
    for key in (room["EncryChatRoomId"], room["UserName"]):
        [member] = (await online.batch(stranger["username"], room=key))["ContactList"]
        assert member["NickName"]
        assert "Province" in member
    friend = next(c for c in details["contacts"] if c["kind"] == "friend" and c["wxid"] not in str(group))
    assert (await online.batch(friend["username"], room=room["UserName"]))["ContactList"] == []


async def test_a_member_who_is_a_friend_has_the_friends_username(online: Browser) -> None:
    details = await online.api("GET", f"/accounts/{UIN}")
    friends = {c["username"] for c in details["contacts"]}
    inside = {m["username"] for m in details["groups"][0]["members"]}
    assert inside & friends
    assert inside - friends - {online.me}


async def test_statistics_are_taken(online: Browser) -> None:
    body = {"BaseRequest": online.base(), "Count": 1, "List": [{"Text": "{}", "Type": 1}]}
    assert (await online.post("webwxstatreport", body, query="fun=new"))["BaseResponse"]["Ret"] == 0


async def test_more_than_fifty(online: Browser) -> None:
    assert (await online.batch(*["filehelper"] * 50))["BaseResponse"]["Ret"] == 0
    refused = await online.batch(*["filehelper"] * 51)
    assert refused["BaseResponse"]["Ret"] == -1
    assert refused["ContactList"] == []


async def test_too_many_batches_are_1205_unless_allowed() -> None:
    for rate, expected in ((1.0, 1205), (0.0, 0)):
        async with sandbox_and_browser(Options(batch_rate=rate, batch_burst=5)) as (_, browser):
            await browser.log_in(UIN)
            answers = [(await browser.batch("filehelper"))["BaseResponse"]["Ret"] for _ in range(8)]
            assert answers[:5] == [0] * 5
            assert answers[-1] == expected
