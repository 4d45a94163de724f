"""Answers as values: what the specification shows, and whatever else may come."""

import json
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import ContactKind, Direction, Message, Sex
from wxcontroller.drivers.filehelper import decode as filehelper
from wxcontroller.drivers.line.transport import LineResponse
from wxcontroller.drivers.web.decode import answers, contacts, messages
from wxcontroller.drivers.web.decode.listing import batch_of, contact_page_of
from wxcontroller.drivers.web.session.identity import uid_of

DECODERS = [
    answers.uuid_of,
    answers.picture_of,
    answers.poll_of,
    answers.push_uuid_of,
    answers.login_page_of,
    answers.init_of,
    lambda found: list(contact_page_of(found)),
    lambda found: list(batch_of(found)),
    answers.accepted,
    answers.check_of,
    answers.news_of,
    answers.sent_of,
    answers.checked_of,
    answers.group_made_of,
    partial(answers.uploaded_of, last=True),
]
PIECES = [
    b"window.code=200;",
    b"window.code=201;",
    b'window.redirect_uri="https://',
    b"wx.qq.com/",
    b'window.QRLogin.code = 200; window.QRLogin.uuid = "',
    b"window.userAvatar = 'data:img/jpg;base64,",
    b"<error><ret>",
    b"</ret>",
    b"<redirecturl>",
    b"</redirecturl>",
    b"<wxuin>",
    b'{"BaseResponse":{"Ret":',
    b'"SyncKey":{"Count":1,"List":[{"Key":1,"Val":',
    b"\\ud800",
    b"1e999",
    b"9" * 5000,
    b"[" * 2000,
    b"]}",
    b'"',
    b"\xff\xd8",
]
KEYS = (
    "UserName NickName MemberList MsgType Content Key Val Count List Ret BaseResponse User SyncKey AddMsgList "
    "DelContactList Profile ContactList Seq MsgID Sex VerifyFlag HeadImgUrl"
)
MORE_KEYS = (
    "MsgId NewMsgId FromUserName ToUserName MsgType SubMsgType AppMsgType Content CreateTime StatusNotifyCode "
    "StatusNotifyUserName RecommendInfo FileName Url MediaId EncryFileName FileSize VoiceLength PlayLength "
    "HasProductId OriContent AppInfo"
)
XMLS = [
    "&lt;title&gt;",
    "&lt;msg&gt;&lt;appmsg appid='x'&gt;&lt;type&gt;6&lt;/type&gt;&lt;title&gt;&lt;![CDATA[",
    "@a:<br/>&lt;sysmsg type='revokemsg'&gt;&lt;revokemsg&gt;&lt;msgid&gt;0&lt;",
    '&lt;msg username="@b" sex="1" nickname="&amp;#0;&amp;#xd800;"/&gt;',
    "x:<br/>/cgi?pictype=location",
]
XML_PIECES = [
    *("&lt;msg&gt;", "&lt;/msg&gt;", "&lt;msg ", "/&gt;", "&gt;", "&lt;", "&amp;", "<br/>", "@b:<br/>", "<", ">"),
    *("&lt;appmsg&gt;", "&lt;/appmsg&gt;", "&lt;type&gt;6&lt;/type&gt;", "&lt;type&gt;2000&lt;/type&gt;", "5", "-1"),
    *("&lt;type&gt;", "&lt;/type&gt;", "&lt;title&gt;", "&lt;/title&gt;", "&lt;![CDATA[", "]]&gt;", "\x00", "\ufffe"),
    *(
        "&lt;sysmsg type='revokemsg'&gt;",
        "&lt;revokemsg&gt;",
        "&lt;msgid&gt;",
        "9" * 30,
        "&lt;/msgid&gt;",
        "&amp;lt;",
    ),
    *(
        "&lt;location x='1.5' y='9e9'/&gt;",
        "&lt;location x='",
        "' ",
        "username='@c'",
        "sex='",
        "length='",
        "&amp;#x0;",
    ),
    *('<span class="emoji emoji3c"></span>', "&lt;?xml version='1.0' encoding='utf-16'?&gt;", "&lt;!DOCTYPE a&gt;"),
]
CONTAINER_KEYS, MESSAGE_KEYS = KEYS.split(), MORE_KEYS.split()
anything = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=8).map(b"".join),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(), max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(CONTAINER_KEYS),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)


def answer(body: bytes | str | JsonObject, status: int = 200) -> LineResponse:
    if isinstance(body, dict):
        body = json.dumps(body)
    return LineResponse("call", status, body.encode() if isinstance(body, str) else body)


def whole(value: object) -> None:
    """Fail if anything in ``value`` can't be written as UTF-8."""
    if is_dataclass(value):
        value = [getattr(value, entry.name) for entry in fields(value)]
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for key, entry in value.items():
            whole(key)
            whole(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            whole(entry)


@pytest.mark.parametrize("decoder", DECODERS)
@given(body=anything, status=st.sampled_from([200, 200, 200, 301, 503, 0]))
def test_any_bytes_give_a_value_or_a_wechat_error(decoder: object, body: bytes, status: int) -> None:
    assert callable(decoder)
    try:
        decoder(LineResponse("call", status, body))
    except WeChatError as problem:
        assert problem.message
        assert problem.remedy


@pytest.mark.parametrize("decoder", DECODERS)
@given(value=json_values, ret=st.sampled_from([0, 0, 0, "0", None, 1101]))
def test_any_json_gives_a_value_or_a_wechat_error(decoder: object, value: JsonValue, ret: int | str | None) -> None:
    assert callable(decoder)
    body = value if isinstance(value, dict) else {"MemberList": value}
    with suppress(WeChatError):
        whole(decoder(answer({**body, "BaseResponse": {"Ret": ret}})))


@given(
    st.dictionaries(
        st.sampled_from(MESSAGE_KEYS),
        st.one_of(
            json_values,
            st.sampled_from([1, 3, 34, 37, 42, 43, 47, 48, 49, 51, 62, 10000, 10002, "49", "@@g", "@me", *XMLS]),
        ),
    )
)
def test_any_message_gives_a_message_or_nothing(raw: JsonObject) -> None:
    found = messages.message_of(raw, "@me", emoji_names=True)
    whole(found)
    if isinstance(found, Message):
        assert found.id
        assert found.time > 0


@given(
    kind=st.sampled_from([3, 34, 37, 42, 43, 47, 48, 49, 51, 62, 10002]),
    pieces=st.lists(st.one_of(st.sampled_from(XML_PIECES), st.text(st.characters(), max_size=8)), max_size=30),
    group=st.booleans(),
)
def test_any_xml_gives_a_message(kind: int, pieces: list[str], group: bool) -> None:
    content = "".join(pieces)
    raw: JsonObject = {"MsgId": "1", "MsgType": kind, "FromUserName": "@@g" if group else "@a", "Content": content}
    raw["OriContent"], raw["StatusNotifyCode"], raw["StatusNotifyUserName"] = content, 4, "@a,@@g"
    found = messages.message_of(raw, "@me", emoji_names=False)
    assert found is not None
    if isinstance(found, Message):
        assert found.media is None or found.media.size >= 0
        assert found.place is None or found.place.latitude.strip("-.0123456789") == ""
        assert found.revoked.isdecimal() or found.revoked == ""


@given(json_values)
def test_any_contact_gives_a_contact_or_nothing(value: JsonValue) -> None:
    raw: JsonObject = value if isinstance(value, dict) else {"UserName": value}
    people, groups = contacts.split([raw])
    for entry in people:
        seen = contacts.contact_of(entry, True)
        assert contacts.merge_contact(seen, seen, whole=True) == seen
    for entry in groups:
        contacts.merge_group(None, contacts.group_of(entry, "@me", True))


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

    found = read("@me", "filehelper", MsgType=3, Content="<msg><img/></msg>")
    assert found is not None
    assert (found.chat, found.sender, found.direction) == ("filehelper", "filehelper", Direction.RECEIVED)
    # What came can't be sent again by reference on this page.
    assert found.media is not None
    assert found.media.reference == ""
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
