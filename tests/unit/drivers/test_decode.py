"""WeChat's responses as values: logins, people, messages, and texts made plain (weixin-web-protocol 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import ContactKind, Direction, Message
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.filehelper import decode as filehelper
from wxcontroller.drivers.web.decode import answers, contacts, markup, messages
from wxcontroller.drivers.web.decode.text import plain, plain_name, split_sender
from wxcontroller.drivers.web.session.identity import uid_of
from wxcontroller.sandbox.markup import encode


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?ticket=1",
        "https://wx.qq.com.evil.example/?ticket=1",
        "https://evilqq.com/?ticket=1",
        "https://wx.qq.com@evil.example/",
        "ftp://wx.qq.com/",
        "",
    ],
)
def test_cookies_are_not_sent_to_other_hosts(url: str) -> None:
    with pytest.raises(WeChatError):
        answers.poll_of(LineResponse("call", 200, f'window.code=200;window.redirect_uri="{url}";'.encode()))


def test_partial_objects_do_not_erase() -> None:
    known = contacts.contact_of(
        {"UserName": "@a", "NickName": "N", "RemarkName": "R", "City": "C", "VerifyFlag": 24}, True
    )
    partial = contacts.contact_of({"UserName": "@a", "NickName": "N2"}, True)
    merged = contacts.merge_contact(known, partial, complete=False)
    assert (merged.name, merged.markname, merged.city, merged.kind) == ("N2", "R", "C", ContactKind.OFFICIAL)
    assert contacts.merge_contact(known, partial, complete=True).markname == ""


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
    # Received content cannot be sent again by reference on this page, only on the other one.
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
        message = messages.message_of(raw, "@me", True)
        assert isinstance(message, messages.Notify)
        return message.real

    fitting = real("filehelper,@@g,@a", "filehelper,7000000001@chatroom,wxid_1")
    assert fitting == (("@@g", "7000000001@chatroom"), ("@a", "wxid_1"))
    assert real("filehelper,@@g,@a", "filehelper,7000000001@chatroom") == ()
    assert real("filehelper,@@g,@a", "filehelper,wxid_1,7000000001@chatroom") == ()
    assert real("filehelper,@@g,@a", "weixin,7000000001@chatroom,wxid_1") == ()
    assert uid_of("7000000001@chatroom") == 7000000001
    assert 0 < uid_of("wxid_1") < 1 << 53


def test_template_with_repeated_names_stays_small() -> None:
    member = f"<member><nickname><![CDATA[{'$names$' * 300}]]></nickname></member>"
    xml = (
        '<sysmsg type="sysmsgtemplate"><sysmsgtemplate><content_template type="tmpl_type_profile">'
        f"<template><![CDATA[{'$names$' * 5000}]]></template><link_list>"
        f'<link name="names" type="link_profile"><memberlist>{member}</memberlist></link>'
        "</link_list></content_template></sysmsgtemplate></sysmsg>"
    )
    found = message({"MsgType": 10002, "Content": xml.replace("<", "&lt;").replace(">", "&gt;")})
    assert 0 < len(found.text) < 1_000_000


# -- texts


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('a &lt; b &amp;amp; c <span class="emoji emoji1f604"></span>[微笑]', "a < b &amp; c 😄[微笑]"),
        ("one<br/>two<br>three<BR />", "one\ntwo\nthree\n"),
        ("&lt;br/&gt;", "<br/>"),
        ("?a=1&lt=2&copy=3&unknown;", "?a=1&lt=2&copy=3&unknown;"),
        ("&#0;&#55296;&#1114112;&#99999999;", "&#0;&#55296;&#1114112;&#99999999;"),
        ("<b>kept</b>", "<b>kept</b>"),
    ],
)
def test_plain(raw: str, expected: str) -> None:
    assert plain(raw, emoji_names=False) == expected


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r")))
def test_any_text_survives_encoding(written: str) -> None:
    assert plain(encode(written), emoji_names=False) == written


@pytest.mark.parametrize(
    ("raw", "sender", "rest"),
    [
        ("wxid_a-b:<br/>hi", "wxid_a-b", "hi"),
        ("@ab:<br/>x:<br/>y", "@ab", "x:<br/>y"),
        ("no prefix", "", "no prefix"),
        ("a b:<br/>hi", "", "a b:<br/>hi"),
    ],
)
def test_sender_prefix_is_removed_once(raw: str, sender: str, rest: str) -> None:
    assert split_sender(raw) == (sender, rest)


def test_names_cannot_control_a_terminal() -> None:
    assert plain_name("A&amp;B\x1b[2J\x9b1m<br/>\x07", emoji_names=False) == "A&B[2J1m"


def test_size_and_depth_of_xml_are_limited() -> None:
    def deep(levels: int) -> str:
        return "<a>" * levels + "x" + "</a>" * levels

    assert markup.read(deep(markup.XML_DEPTH), True).whole
    assert not markup.read(deep(markup.XML_DEPTH + 1), True).whole
    assert len(markup.read("<a>" + "x" * markup.XML_LENGTH + "</a>", True).text("a")) < markup.XML_LENGTH
    assert not markup.read("<a>" + "<b/>" * markup.XML_ELEMENTS + "</a>", True).whole
    assert not markup.read(f"<{'a' * (markup.XML_NAME_LENGTH + 1)}/>", True).whole
