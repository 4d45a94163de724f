"""What a message of each kind shows, from the fields of the JSON and from the XML (weixin-web-protocol 7)."""

import json

import pytest

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Article, Message, MessageKind, Sex
from wxcontroller.drivers.web.decode import contents, messages
from wxcontroller.sandbox.media.webmarkup import encode

MD5 = "0123456789abcdef" * 2


def message(kind: int, content: str = "", **raw: object) -> Message:
    people: JsonObject = {"FromUserName": "@a", "ToUserName": "@me"}
    entry = {"MsgId": "7", "CreateTime": 17, **people, "MsgType": kind, "Content": encode(content), **raw}
    found = messages.message_of(json.loads(json.dumps(entry)), "@me", emoji_names=False)
    assert isinstance(found, Message)
    return found


@pytest.mark.parametrize(
    ("kind", "content", "raw", "size", "seconds"),
    [
        (3, '<msg><img length="5" hdlength="9"/></msg>', {}, 9, 0.0),
        (3, '<msg><img length="5" hdlength="0"/></msg>', {}, 5, 0.0),
        (34, '<msg><voicemsg length="5" voicelength="1500"/></msg>', {}, 5, 1.5),
        (34, '<msg><voicemsg length="5" voicelength="1500"/></msg>', {"VoiceLength": 2500}, 5, 2.5),
        (43, '<msg><videomsg length="5" playlength="3"/></msg>', {}, 5, 3.0),
        (43, '<msg><videomsg length="5" playlength="3"/></msg>', {"PlayLength": 4}, 5, 4.0),
        (43, '<msg><videomsg length="281474976710656" playlength="-1"/></msg>', {}, 0, 0.0),
        (43, '<msg><videomsg length="281474976710655" playlength="1"/></msg>', {}, 281474976710655, 1.0),
        (47, f'<msg><emoji md5="{MD5}" len="5"/></msg>', {}, 5, 0.0),
    ],
)
def test_size_and_length_of_media(kind: int, content: str, raw: JsonObject, size: int, seconds: float) -> None:
    media = message(kind, content, **raw).media
    assert media is not None
    assert (media.id, media.size, media.seconds) == ("7", size, seconds)


def test_an_emoticon_is_sent_on_by_its_digest() -> None:
    for content, reference in (
        (f'<msg><emoji md5="{MD5}" len="5"/></msg>', MD5),
        (f"<msg><appmsg><type>8</type><appattach><emoticonmd5>{MD5}</emoticonmd5></appattach></appmsg></msg>", MD5),
        (f'<msg><emoji md5="{MD5}0" len="5"/></msg>', ""),
    ):
        media = message(47 if "emoji " in content else 49, content).media
        assert media is not None
        assert media.reference == reference


def test_a_file_is_known_by_the_xml_alone() -> None:
    attached = "<appattach><totallen>12</totallen><attachid>@cdn_1</attachid></appattach>"
    xml = f"<msg><appmsg><title>a.pdf</title><type>6</type>{attached}</appmsg></msg>"
    media = message(49, xml).media
    assert media is not None
    assert (media.name, media.size, media.public) == ("a.pdf", 12, "@cdn_1")
    assert message(49, xml.replace("@cdn_1", "")).media is None


def test_a_file_is_sent_on_by_its_description_up_to_a_size() -> None:
    """With the id that WeChat gave to this account in the place of the sender's, which is not valid for others."""
    around = '<msg><appmsg appid="wx1" sdkver="0"><title>a</title><type>6</type>{}</appmsg></msg>'
    sent, own = "<attachid><![CDATA[@cdn_1]]></attachid>", "<attachid>@up_1</attachid>"
    for size, xml, reference in (
        (26_214_400, around.format(sent), around.format(own)),
        (26_214_401, around.format(sent), ""),
        (5, around.format(""), ""),
        (5, around.format(sent + sent), ""),
        (5, around.format(sent).replace(' appid="wx1" sdkver="0"', ""), ""),
    ):
        media = message(49, xml, FileSize=str(size), MediaId="@up_1", EncryFileName="e%2F").media
        assert media is not None
        assert (media.size, media.reference) == (size, reference)
        assert contents.file_key(media.key) == contents.FileKey("@a", "@up_1", "e%2F", "a")
    for other in ("", "[]", '["a", "b", "c"]', '["a", "b", "c", 4]', '"abcd"', '["a", "b", "c", "d", "e"]'):
        assert contents.file_key(other) is None


@pytest.mark.parametrize(
    ("kind", "raw", "shown", "raw_kind"),
    [
        (1, {"AppMsgType": 2001}, "[红包，请在手机上查看]", "1"),
        (1, {"AppMsgType": 2000}, "", "1"),
        (50, {}, "[通话，请在手机上查看]", "50"),
        (53, {}, "[通话，请在手机上查看]", "53"),
        (51_000, {}, "[不支持的消息，请在手机上查看]", "51000"),
        (10000, {}, "", "10000"),
    ],
)
def test_what_only_the_phone_shows(kind: int, raw: JsonObject, shown: str, raw_kind: str) -> None:
    found = message(kind, "", **raw)
    assert (found.text, found.raw_kind) == (shown, raw_kind)


def test_a_link_shows_the_json_before_the_xml() -> None:
    inner = (
        "<title>T</title><des>D</des><type>5</type><url>http://a/?x=1&amp;amp;y</url>"
        "<sourcedisplayname></sourcedisplayname>"
    )
    xml = f'<msg><appmsg appid="wx1">{inner}</appmsg><publisher><nickname>P</nickname></publisher></msg>'
    app = message(49, xml).app
    assert app is not None
    assert (app.title, app.url, app.description) == ("T", "http://a/?x=1&y", "D")
    assert (app.app_name, app.app_id, app.type) == ("P", "wx1", 5)
    app = message(49, xml, FileName="F", Url="http://b/?x=1&amp;amp;y").app
    assert app is not None
    assert (app.title, app.url) == ("F", "http://b/?x=1&y")


def test_news_are_read_from_their_text() -> None:
    item = "<item><title>T</title><url>http://a/</url><digest>D</digest><cover>http://c/</cover></item>"
    xml = f"<mmreader><category><name>N</name>{item}</category></mmreader>"
    found = message(1, xml, FromUserName="newsapp")
    assert (found.kind, found.raw_kind) == (MessageKind.APP, "1/newsapp")
    assert found.app is not None
    assert (found.app.title, found.app.app_name) == ("T", "N")
    assert found.app.articles == (Article("T", "http://a/", "D", "http://c/"),)
    assert len(found.text.splitlines()) == 4
    nothing = message(1, "<mmreader/>", FromUserName="newsapp")
    assert (nothing.kind, nothing.raw_kind) == (MessageKind.OTHER, "1/newsapp")


def test_a_card_shows_the_xml_before_the_json() -> None:
    attributes = 'username="v1_x" nickname="N" alias="A" province="P" city="C" sex="2"'
    card = message(42, f'<msg {attributes} smallheadimgurl="http://s/"/>').card
    assert card is not None
    assert (card.id, card.name, card.account, card.province, card.city) == ("v1_x", "N", "A", "P", "C")
    assert (card.sex, card.avatar) == (Sex.FEMALE, "http://s/")
    who = {"UserName": "@c", "NickName": "n", "Alias": "a", "Province": "p", "City": "c", "Sex": 1}
    card = message(42, '<msg bigheadimgurl="http://b/" smallheadimgurl="http://s/"/>', RecommendInfo=who).card
    assert card is not None
    assert (card.id, card.name, card.account, card.province, card.city) == ("@c", "n", "a", "p", "c")
    assert (card.sex, card.avatar) == (Sex.MALE, "http://b/")


def test_a_place_without_both_degrees_is_that_of_its_link() -> None:
    url = "/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?url=xxx&amp;pictype=location&amp;coord=22.5,114.1"
    for attributes, degrees in (
        ('x="1.5" y="-2"', ("1.5", "-2")),
        ('x="1.5" y="north"', ("22.5", "114.1")),
        ('x="1.5"', ("22.5", "114.1")),
    ):
        place = message(48, f'<msg><location {attributes} label="L"/></msg>', Url=url).place
        assert place is not None
        assert (place.latitude, place.longitude, place.label) == (*degrees, "L")


@pytest.mark.parametrize(
    ("number", "revoked"), [("1" * 20, "1" * 20), ("1" * 21, "0"), ("12x", "0"), ("", "0"), ("5", "5")]
)
def test_a_recall_names_a_message_by_its_number(number: str, revoked: str) -> None:
    xml = f'<sysmsg type="revokemsg"><revokemsg><msgid>{number}</msgid></revokemsg></sysmsg>'
    assert message(10002, xml).revoked == revoked


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("<link><plain>Ann</plain></link>", "Ann"),
        ("<title>Ann</title><link><plain>Ben</plain></link>", "Ann"),
        ("<memberlist><member><nickname>Ann</nickname></member><member><username>@b</username></member></memberlist>",
         "Ann、@b"),
        ("<separator>+</separator><memberlist><member><nickname>Ann</nickname></member>"
         "<member><nickname></nickname></member><member><nickname>Ben</nickname></member></memberlist>", "Ann+Ben"),
    ],
)  # fmt: skip
def test_a_notice_shows_the_text_of_its_links(link: str, shown: str) -> None:
    words = f"<template>hello $who$, $else$</template><link_list><link name='who'>{link}</link></link_list>"
    found = message(10002, f'<sysmsg type="x">{words}</sysmsg>')
    assert (found.text, found.raw_kind) == (f"hello {shown}, $else$", "10002/x")


@pytest.mark.parametrize("element", ["template", "plain", "content", "text"])
def test_a_notice_has_its_words_in_one_of_several_elements(element: str) -> None:
    assert message(10002, f"<sysmsg><{element}>hello</{element}></sysmsg>").text == "hello"
