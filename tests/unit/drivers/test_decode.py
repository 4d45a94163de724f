"""Answers as values: what the specification shows, and whatever else may come."""

import json

import pytest

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import ContactKind, Direction, Message, MessageKind
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.filehelper import decode as filehelper
from wxcontroller.drivers.web.decode import answers, contacts, messages
from wxcontroller.drivers.web.session.identity import uid_of


def answer(body: bytes | str | JsonObject, status: int = 200) -> LineResponse:
    if isinstance(body, dict):
        body = json.dumps(body)
    return LineResponse("call", status, body.encode() if isinstance(body, str) else body)


# -- login


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
def test_cookies_are_not_sent_to_other_hosts(url: str) -> None:
    with pytest.raises(WeChatError):
        answers.poll_of(answer(f'window.code=200;window.redirect_uri="{url}";'))


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


def test_partial_objects_do_not_erase() -> None:
    known = contacts.contact_of(
        {"UserName": "@a", "NickName": "N", "RemarkName": "R", "City": "C", "VerifyFlag": 24}, True
    )
    partial = contacts.contact_of({"UserName": "@a", "NickName": "N2"}, True)
    merged = contacts.merge_contact(known, partial, whole=False)
    assert (merged.name, merged.markname, merged.city, merged.kind) == ("N2", "R", "C", ContactKind.OFFICIAL)
    assert contacts.merge_contact(known, partial, whole=True).markname == ""


# -- messages


def message(raw: JsonObject) -> Message:
    people: JsonObject = {"FromUserName": "@a", "ToUserName": "@me"}
    found = messages.message_of({"MsgId": "1", "CreateTime": 17, **people, **raw}, "@me", emoji_names=False)
    assert isinstance(found, Message)
    return found


def test_message_without_an_id_gets_a_stable_one() -> None:
    raw: JsonObject = {"FromUserName": "@a", "MsgType": 1, "Content": "x", "CreateTime": 5}
    assert messages.id_of(raw) == messages.id_of(dict(raw))
    assert messages.id_of(raw) != messages.id_of({**raw, "Content": "y"})
    assert messages.id_of({**raw, "NewMsgId": 6423456789012345679}) == "6423456789012345679"
    assert messages.id_of({**raw, "MsgId": "7", "NewMsgId": 8}) == "7"


def test_file_transfer_messages_are_all_received() -> None:
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


def test_real_ids_are_used_only_if_plausible() -> None:
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


def escaped(xml: str) -> str:
    return xml.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br/>")


@pytest.mark.parametrize(
    "words", ["what is pictype=location?", "x:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?pictype=location"]
)
def test_text_like_a_location_is_a_text(words: str) -> None:
    found = message({"MsgType": 1, "Content": words, "Url": "", "OriContent": ""})
    assert (found.kind, found.text) == (MessageKind.TEXT, words.replace("<br/>", "\n"))


def member_list(*names: str) -> str:
    listed = "".join(
        f"<member><username>wxid</username><nickname><![CDATA[{name}]]></nickname></member>" for name in names
    )
    return f"<memberlist>{listed}</memberlist>"


def test_template_is_filled_with_its_people() -> None:
    xml = (
        '<sysmsg type="sysmsgtemplate"><sysmsgtemplate><content_template type="tmpl_type_profile"><plain></plain>'
        '<template><![CDATA["$username$"邀请"$names$"加入了群聊$others$，$unknown$]]></template><link_list>'
        f'<link name="username" type="link_profile">{member_list("A & B")}</link>'
        f'<link name="names" type="link_profile">{member_list("C", "$username$")}<separator>、</separator></link>'
        '<link name="others" type="link_plain"><plain><![CDATA[（撤销）]]></plain></link>'
        "</link_list></content_template></sysmsgtemplate></sysmsg>"
    )
    found = message({"MsgType": 10002, "Content": escaped(xml), "FromUserName": "@@c0ffee"})
    assert (found.kind, found.sender) == (MessageKind.NOTICE, "")
    assert found.text == '"A & B"邀请"C、A & B"加入了群聊（撤销），$unknown$'
    broken = message({"MsgType": 10002, "Content": escaped(xml)[:-90], "FromUserName": "@@c0ffee"})
    assert broken.text.startswith('"A & B"邀请"C、')
    bomb = xml.replace("$unknown$", "$names$" * 20_000).replace("C", "$names$" * 20_000)
    assert len(message({"MsgType": 10002, "Content": escaped(bomb)}).text) < 1_000_000
