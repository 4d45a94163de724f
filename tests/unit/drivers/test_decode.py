"""Answers as values: what the specification shows, and whatever else may come."""

import json

import pytest

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import ContactKind, Direction, Message, Sex
from wxcontroller.drivers.filehelper import decode as filehelper
from wxcontroller.drivers.line.transport import LineResponse
from wxcontroller.drivers.web.decode import answers, contacts, messages
from wxcontroller.drivers.web.decode.listing import batch_of
from wxcontroller.drivers.web.session.identity import uid_of


def answer(body: bytes | str | JsonObject, status: int = 200) -> LineResponse:
    if isinstance(body, dict):
        body = json.dumps(body)
    return LineResponse("call", status, body.encode() if isinstance(body, str) else body)


def test_numbers_without_end_are_no_trouble() -> None:
    for body in (b"9" * 10_000, b'{"BaseResponse":{"Ret":' + b"9" * 5000 + b"}}", b"[" * 100_000):
        with pytest.raises(WeChatError):
            answers.news_of(LineResponse("call", 200, body))


# -- login


def test_uuid() -> None:
    body = 'window.QRLogin.code = 200; window.QRLogin.uuid = "QaBcDeFgHw==";'
    assert answers.uuid_of(answer(body)) == "QaBcDeFgHw=="
    for bad in ("", body.replace("200", "400"), body.replace("QaBcDeFgHw==", "../../etc"), "window.code=200"):
        with pytest.raises(WeChatError):
            answers.uuid_of(answer(bad))


@pytest.mark.parametrize("separator", [";", ";\n"])
def test_a_confirmed_poll(separator: str) -> None:
    url = "https://wx2.qq.com/cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket=AtIcKeT@qrticket_0&uuid=Qa==&scan=17"
    poll = answers.poll_of(answer(f'window.code=200{separator}window.redirect_uri="{url}";'))
    assert poll.redirect is not None
    assert (poll.redirect.host, poll.redirect.path) == ("wx2.qq.com", "/cgi-bin/mmwebwx-bin/webwxnewloginpage")
    assert poll.redirect.query == "ticket=AtIcKeT@qrticket_0&uuid=Qa==&scan=17"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?ticket=1",
        "https://wx.qq.com.evil.example/?ticket=1",
        "https://evilqq.com/?ticket=1",
        "https://wx.qq.com@evil.example/",
        "ftp://wx.qq.com/",
        "//wx.qq.com/",
        "https://wx.qq.com/ x",
        "",
    ],
)
def test_no_cookie_goes_to_another_host(url: str) -> None:
    with pytest.raises(WeChatError):
        answers.poll_of(answer(f'window.code=200;window.redirect_uri="{url}";'))


def test_a_scanned_poll_with_and_without_a_picture() -> None:
    with_picture = "window.code=201;window.userAvatar = 'data:img/jpg;base64,/9j/4AAQSkZJRgABAQ==';"
    assert answers.poll_of(answer(with_picture)).avatar.startswith(b"\xff\xd8")
    for script in ("window.code=201;", "window.code=201;window.userAvatar = 'data:img/jpg;base64,/9j';"):
        assert answers.poll_of(answer(script)) == answers.Poll(201)
    assert answers.poll_of(answer("window.code = 408 ;")).code == 408


def test_the_login_page() -> None:
    body = (
        "<error><ret>0</ret><message></message><skey>@crypt_aa_01</skey><wxsid>sAmPlE/iD+1</wxsid>"
        "<wxuin>1234567890</wxuin><pass_ticket>pAsS%2Fabc%3D</pass_ticket><isgrayscale>1</isgrayscale></error>"
    )
    for status in (200, 301):
        page = answers.login_page_of(answer(body, status))
        assert (page.ret, page.skey, page.sid) == (0, "@crypt_aa_01", "sAmPlE/iD+1")
        assert (page.uin, page.pass_ticket) == (1234567890, "pAsS%2Fabc%3D")
    refused = answers.login_page_of(answer("<error><ret>1203</ret><message>no\nway &lt;&gt;</message></error>"))
    assert (refused.ret, refused.message) == (1203, "no way <>")
    moved = answers.login_page_of(
        answer("<error><ret>0</ret><redirecturl>https://wx8.qq.com/x?a=1&amp;b=2</redirecturl></error>")
    )
    assert moved.moved == answers.WebRedirect("wx8.qq.com", "/x", "a=1&b=2")
    for bad in ("<html></html>", "", "<error><ret>x</ret></error>"):
        with pytest.raises(WeChatError):
            answers.login_page_of(answer(bad))


def test_push() -> None:
    assert answers.push_uuid_of(answer('{"ret":"0","msg":"all ok","uuid":"PuShUuIdAw=="}')) == "PuShUuIdAw=="
    assert answers.push_uuid_of(answer('{"ret":0,"uuid":"PuShUuIdAw=="}')) == "PuShUuIdAw=="
    for bad in ('{"ret":"1","uuid":""}', '{"ret":"0","uuid":""}', "{}"):
        with pytest.raises(WeChatError):
            answers.push_uuid_of(answer(bad))


# -- the session


def test_check() -> None:
    assert answers.check_of(answer('window.synccheck={retcode:"0",selector:"2"}')) == answers.Check(0, 2)
    assert answers.check_of(answer('window.synccheck = { retcode : "1101" , selector : "0" }')) == answers.Check(
        1101, 0
    )
    assert answers.check_of(answer('window.synccheck={retcode:"-1"}')) == answers.Check(-1, 0)


def test_an_empty_sync_key_is_none() -> None:
    base: JsonObject = {"BaseResponse": {"Ret": 0}}
    keys: list[JsonValue] = [
        {"Count": 0, "List": []},
        {"Count": 0, "List": [{"Key": 1, "Val": 2}]},
        {"Count": 1, "List": []},
        {"Count": 1, "List": [{"Key": 1}]},
        {"Count": 1, "List": [{"Key": 1, "Val": "2"}]},
        None,
        "x",
    ]
    for key in keys:
        assert answers.news_of(answer({**base, "SyncKey": key})).sync_key == ()
    good: JsonObject = {"Count": 2, "List": [{"Key": 1, "Val": 700000001}, {"Key": 1000, "Val": 17}]}
    assert answers.news_of(answer({**base, "SyncKey": good})).sync_key == ((1, 700000001), (1000, 17))


def test_half_a_character_is_replaced() -> None:
    entries = '[{"UserName":"@a","NickName":"x\\ud83d"},{"NickName":"\\ud83d\\ude00"}]'
    first, second = batch_of(answer('{"BaseResponse":{"Ret":0},"ContactList":' + entries + "}"))
    assert first["NickName"] == "x\ufffd"
    assert second["NickName"] == "😀"
    cut = b'{"BaseResponse":{"Ret":0},"ContactList":[{"UserName":"@a","NickName":"\xe4\xbd"}]}'
    assert next(iter(batch_of(LineResponse("call", 200, cut))))["NickName"] == "\ufffd"


def test_a_refusal_has_its_code_and_a_remedy() -> None:
    with pytest.raises(WeChatError) as refused:
        answers.sent_of(answer('{"BaseResponse":{"Ret":1204,"ErrMsg":""},"MsgID":"","LocalID":""}'))
    assert refused.value.ret == 1204
    assert "friend" in refused.value.remedy


# -- people


def test_kinds_of_contacts() -> None:
    def kind(name: str, flag: JsonValue) -> ContactKind:
        return contacts.contact_of({"UserName": name, "VerifyFlag": flag}, True).kind

    assert kind("@a", 0) is ContactKind.FRIEND
    assert kind("@a", 24) is ContactKind.OFFICIAL
    assert kind("@a", "29") is ContactKind.OFFICIAL
    assert kind("@a", 16) is ContactKind.FRIEND
    assert kind("weixin", 56) is ContactKind.SYSTEM
    assert kind("filehelper", 0) is ContactKind.SYSTEM


def test_a_contact() -> None:
    raw: JsonObject = {
        "UserName": "@a",
        "NickName": 'A&amp;B<span class="emoji emoji1f604"></span>',
        "RemarkName": "&lt;x&gt;",
        "Signature": "one\ttwo\nthree\x1b[2J&amp;four",
        "HeadImgUrl": "/cgi-bin/mmwebwx-bin/webwxgeticon?seq=1&username=@a&skey=@crypt_secret",
        "Sex": 2,
        "Uin": 0,
    }
    found = contacts.contact_of(raw, emoji_names=False)
    assert (found.name, found.markname, found.sex) == ("A&B😄", "<x>", Sex.FEMALE)
    assert found.signature == "one\ttwo\nthree[2J&four"
    assert "secret" not in found.avatar
    assert "username=@a" in found.avatar


def test_partial_objects_do_not_erase() -> None:
    known = contacts.contact_of(
        {"UserName": "@a", "NickName": "N", "RemarkName": "R", "City": "C", "VerifyFlag": 24}, True
    )
    partial = contacts.contact_of({"UserName": "@a", "NickName": "N2"}, True)
    merged = contacts.merge_contact(known, partial, whole=False)
    assert (merged.name, merged.markname, merged.city, merged.kind) == ("N2", "R", "C", ContactKind.OFFICIAL)
    assert contacts.merge_contact(known, partial, whole=True).markname == ""


def test_an_empty_member_list_keeps_the_known_one() -> None:
    raw: JsonObject = {
        "UserName": "@@g",
        "NickName": "G",
        "IsOwner": 1,
        "MemberList": [{"UserName": "@a", "NickName": "A"}, {"NickName": "nobody"}],
    }
    group = contacts.group_of(raw, "@me", True)
    assert [member.id for member in group.members] == ["@a"]
    assert group.owner == "@me"
    merged = contacts.merge_group(group, contacts.group_of({"UserName": "@@g", "NickName": "G2"}, "@me", True))
    assert (merged.name, merged.owner, len(merged.members)) == ("G2", "@me", 1)


# -- messages


def message(raw: JsonObject) -> Message:
    found = messages.message_of({"MsgId": "1", "CreateTime": 17, **raw}, "@me", emoji_names=False)
    assert isinstance(found, Message)
    return found


def test_direction_and_chat() -> None:
    received = message({"FromUserName": "@a", "ToUserName": "@me", "MsgType": 1, "Content": "x"})
    assert (received.chat, received.sender, received.direction) == ("@a", "@a", Direction.RECEIVED)
    own = message({"FromUserName": "@me", "ToUserName": "@@g", "MsgType": 1, "Content": "@bob:<br/>hi"})
    assert (own.chat, own.sender, own.text) == ("@@g", "@me", "@bob:\nhi")
    assert own.direction is Direction.SENT_ELSEWHERE
    nobody = message({"FromUserName": "", "ToUserName": "filehelper", "MsgType": "1", "Content": None})
    assert (nobody.chat, nobody.sender, nobody.text) == ("filehelper", "@me", "")


def test_a_message_without_an_id_gets_one_that_stays() -> None:
    raw: JsonObject = {"FromUserName": "@a", "MsgType": 1, "Content": "x", "CreateTime": 5}
    assert messages.id_of(raw) == messages.id_of(dict(raw))
    assert messages.id_of(raw) != messages.id_of({**raw, "Content": "y"})
    assert messages.id_of({**raw, "NewMsgId": 6423456789012345679}) == "6423456789012345679"
    assert messages.id_of({**raw, "MsgId": "7", "NewMsgId": 8}) == "7"


def test_file_transfer_is_one_conversation_and_all_of_it_is_received() -> None:
    def read(sender: str, receiver: str, **more: JsonValue) -> Message | None:
        raw: JsonObject = {"MsgId": "1", "FromUserName": sender, "ToUserName": receiver, "MsgType": 1, **more}
        return filehelper.message_of(raw, "@me", False)

    picture: JsonObject = {"MsgType": 3, "Content": '<msg><img length="5"/></msg>'}
    found = read("@me", "filehelper", **picture)
    assert found is not None
    assert (found.chat, found.sender, found.direction) == ("filehelper", "filehelper", Direction.RECEIVED)
    # What came can't be sent again by reference on this page, only on the other one.
    media = message({"FromUserName": "@me", "ToUserName": "filehelper", **picture}).media
    assert found.media is not None
    assert media is not None
    assert (found.media.reference, media.reference) == ("", picture["Content"])
    assert read("@a", "@me") is None
    assert read("@me", "@a") is None


def test_status_notifications_name_chats() -> None:
    raw: JsonObject = {"MsgType": 51, "StatusNotifyCode": 4, "StatusNotifyUserName": "filehelper,@@g,@a,"}
    assert messages.message_of(raw, "@me", True) == messages.Notify(("filehelper", "@@g", "@a"))
    assert messages.message_of({**raw, "StatusNotifyCode": 3}, "@me", True) == messages.Notify(())
    assert messages.message_of({"MsgType": 9999}, "@me", True) is None


def test_real_ids_are_believed_only_if_they_fit() -> None:
    def real(names: str, others: str) -> tuple[tuple[str, str], ...]:
        content = (
            f"&lt;msg&gt;<br/>&lt;op id='4'&gt;<br/>&lt;username&gt;{others}&lt;/username&gt;&lt;/op&gt;&lt;/msg&gt;"
        )
        raw: JsonObject = {"MsgType": 51, "StatusNotifyCode": 4, "StatusNotifyUserName": names, "Content": content}
        found = messages.message_of(raw, "@me", True)
        assert isinstance(found, messages.Notify)
        return found.real

    fitting = real("filehelper,@@g,@a", "filehelper,7000000001@chatroom,wxid_1")
    assert fitting == (("@@g", "7000000001@chatroom"), ("@a", "wxid_1"))
    assert real("filehelper,@@g,@a", "filehelper,7000000001@chatroom") == ()
    assert real("filehelper,@@g,@a", "filehelper,wxid_1,7000000001@chatroom") == ()
    assert real("filehelper,@@g,@a", "weixin,7000000001@chatroom,wxid_1") == ()
    assert real("@a", "") == ()
    assert uid_of("7000000001@chatroom") == 7000000001
    assert uid_of("wxid_1") == uid_of("wxid_1") != uid_of("wxid_2")
    assert 0 < uid_of("wxid_1") < 1 << 53


def test_an_answer_nested_too_deeply_is_a_typed_error() -> None:
    body = b'{"a":' * 2000 + b'"\\ud800"' + b"}" * 2000
    with pytest.raises(WeChatError):
        answers.news_of(LineResponse("webwxsync", 200, body))
