"""WeChat's responses as values: logins, people, messages, and texts made plain (weixin-web-protocol 8)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import ContactKind, Direction, Message, MessageKind
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.filehelper import decode as filehelper
from wxcontroller.drivers.web.decode import answers, contacts, markup, messages
from wxcontroller.drivers.web.decode.text import plain, plain_name, split_sender
from wxcontroller.drivers.web.session.identity import uid_of
from wxcontroller.sandbox.media.webmarkup import encode


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


def test_what_opens_a_session() -> None:
    key: JsonObject = {"Count": 1, "List": [{"Key": 1, "Val": 2}]}
    body: JsonObject = {
        **{"BaseResponse": {"Ret": 0}, "User": {"UserName": "@me"}, "ChatSet": "filehelper,@@g,@a,", "SyncKey": key},
        **{"SKey": "@crypt_2", "InviteStartCount": 100},
    }
    init = answers.init_of(LineResponse("webwxinit", 200, json.dumps(body).encode()))
    assert (init.chats, init.sync_key, init.skey) == (("filehelper", "@@g", "@a"), ((1, 2),), "@crypt_2")
    assert init.invite_from == 100
    for count in (0, None):
        bare: JsonObject = {**body, "InviteStartCount": count}
        assert answers.init_of(LineResponse("webwxinit", 200, json.dumps(bare).encode())).invite_from == 40


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


def test_chats_of_the_phone_are_looked_up() -> None:
    for code, names in ((1, ()), (2, ("@a", "@@g")), (4, ("@a", "@@g")), (5, ())):
        raw: JsonObject = {"MsgType": 51, "StatusNotifyCode": code, "StatusNotifyUserName": "@a,@@g,"}
        found = messages.message_of(raw, "@me", True)
        assert isinstance(found, messages.Notify)
        assert found.names == names


@pytest.mark.parametrize("words", ["你撤回了一条消息", "You recalled a message"])
def test_own_recalls_on_the_phone_come_as_if_from_the_other_side(words: str) -> None:
    def recalled(ids: str, text: str) -> Message:
        xml = f'<sysmsg type="revokemsg"><revokemsg>{ids}<replacemsg>{text}</replacemsg></revokemsg></sysmsg>'
        return message({"MsgType": 10002, "Content": xml.replace("<", "&lt;").replace(">", "&gt;")})

    own = recalled("<oldmsgid>1</oldmsgid><msgid>7</msgid>", words)
    assert (own.direction, own.sender, own.revoked) == (Direction.SENT_ELSEWHERE, "@me", "7")
    other = recalled("<newmsgid>8</newmsgid>", '"Ann" recalled a message')
    assert (other.direction, other.sender, other.revoked) == (Direction.RECEIVED, "@a", "8")


def test_a_text_cannot_imitate_a_location() -> None:
    link = "Park:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?url=x&msgid=1&pictype=location"
    raw: JsonObject = {"MsgType": 1, "Content": link}
    assert message(raw).kind is MessageKind.TEXT
    url = "http://apis.map.qq.com/uri/v1/geocoder?coord=22.5,113.9"
    forms: tuple[JsonObject, ...] = ({"Url": url}, {"SubMsgType": 48, "Url": url})
    for fields in forms:
        place = message({**raw, **fields})
        assert (place.kind, place.text) == (MessageKind.LOCATION, "[位置]Park")
        assert place.place is not None
        assert (place.place.latitude, place.place.longitude) == ("22.5", "113.9")


def test_kinds_of_people() -> None:
    kinds = {
        ("weixin", 24): ContactKind.SYSTEM,  # which has the flag of official accounts, too
        ("filehelper", 0): ContactKind.SYSTEM,
        **{("@a", flag): ContactKind.OFFICIAL for flag in (8, 9, 24, 28, 29, 56, 136)},
        **{("@a", flag): ContactKind.FRIEND for flag in (0, 1, 16)},
    }
    for (name, flag), kind in kinds.items():
        assert contacts.contact_of({"UserName": name, "VerifyFlag": flag}, True).kind is kind, (name, flag)
    entries: tuple[JsonObject, ...] = tuple(
        {"UserName": name} for name in ("x@lbsroom", "y@talkroom", "@a", "@@g", "7@chatroom", "")
    )
    assert contacts.split(entries) == ([{"UserName": "@a"}], [{"UserName": "@@g"}, {"UserName": "7@chatroom"}])


def test_the_profile_changes_only_if_wechat_marks_it() -> None:
    me = contacts.contact_of({"UserName": "@me", "NickName": "N", "Signature": "S"}, True)
    news: JsonObject = {"NickName": {"Buff": "New"}, "Signature": ""}
    assert contacts.profile_changes({"BitFlag": 0, **news}, me, True) == me
    changed = contacts.profile_changes({"BitFlag": 190, **news}, me, True)
    assert (changed.name, changed.signature) == ("New", "S")


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
        # Codes of several characters by their length; the server sometimes drops the last ">".
        ('<span class="emoji emoji2320e3"></span>', "#\u20e3"),
        ('<span class="emoji emoji002320e3"></span>', "#\u20e3"),
        ('<span class="emoji emoji1f1e81f1f3"></span>', "🇨🇳"),
        ('<span class="emoji emoji1f450"></span', "👐"),
        ('<span class="emoji emoji1f60412"></span>', "\ufffd"),
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


def app(content: str) -> Message:
    return message({"MsgType": 49, "Content": encode(f"<msg>{content}</msg>")})


def test_what_is_shown_of_one_message_is_limited() -> None:
    articles = "".join(f"<item><title>{number}</title></item>" for number in range(21))
    pushed = app(f"<appmsg><type>5</type></appmsg><category>{articles}</category>").app
    assert pushed is not None
    assert [article.title for article in pushed.articles] == [str(number) for number in range(20)]
    quoting = f"<appmsg><type>57</type></appmsg><refermsg><content>{'q' * 1001}</content></refermsg>"
    quoted = app(quoting).app
    assert quoted is not None
    assert quoted.description == "q" * 1000
    notice = (
        f"<sysmsg><template>$who$</template><link_list><link name='who'><title>{'n' * 1001}</title></link>"
        "</link_list></sysmsg>"
    )
    assert message({"MsgType": 10002, "Content": encode(notice)}).text == "n" * 1000


def test_what_is_sent_on_with_media_is_limited() -> None:
    """Beyond, the content is uploaded anew, not its description sent on (5.11)."""
    around = len('<msg><img length="5" md5=""/></msg>')
    for length, sent_on in ((8192, True), (8193, False)):
        xml = f'<msg><img length="5" md5="{"a" * (length - around)}"/></msg>'
        media = message({"MsgType": 3, "Content": encode(xml)}).media
        assert media is not None
        assert media.reference == (xml if sent_on else "")
