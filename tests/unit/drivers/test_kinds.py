"""Every kind of message, as the specification shows it (weixin-web-protocol 7, 11.4)."""

from dataclasses import replace

import pytest

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import (
    AppShare,
    Article,
    Card,
    Direction,
    FriendRequest,
    Message,
    MessageKind,
    MessageMedia,
    Place,
    Sex,
)
from wxcontroller.drivers.web.decode import messages
from wxcontroller.drivers.web.decode.contents import FileKey, file_key

GROUP = "@@c0ffee"


def message(raw: JsonObject, names: bool = False) -> Message:
    entry: JsonObject = {"MsgId": "77", "CreateTime": 17, "FromUserName": "@a", "ToUserName": "@me", **raw}
    found = messages.message_of(entry, "@me", emoji_names=names)
    assert isinstance(found, Message)
    return found


def escaped(xml: str) -> str:
    return xml.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br/>")


IMAGE = escaped(
    '<?xml version="1.0"?>\n<msg>\n\t<img length="6503" hdlength="0" />\n\t<commenturl></commenturl>\n</msg>\n'
)
VOICE = escaped('<msg><voicemsg endflag="1" voiceformat="4" voicelength="1580" length="2026" /></msg>')
VIDEO = escaped('<msg><videomsg length="70000" playlength="9"/></msg>')
EMOTICON = escaped(
    '<msg><emoji fromusername="x" type="2" md5="00" len="4321" productid=""/><gameext type="0"/></msg>'
)


@pytest.mark.parametrize(
    ("raw", "text", "media"),
    [
        ({"MsgType": 3, "Content": IMAGE}, "[图片]", MessageMedia(MessageKind.IMAGE, "77", size=6503)),
        ({"MsgType": 34, "Content": VOICE}, "[语音]", MessageMedia(MessageKind.VOICE, "77", size=2026, seconds=1.58)),
        ({"MsgType": 43, "Content": VIDEO}, "[视频]", MessageMedia(MessageKind.VIDEO, "77", size=70000, seconds=9)),
        ({"MsgType": 43, "Content": "", "PlayLength": 3}, "[视频]", MessageMedia(MessageKind.VIDEO, "77", seconds=3)),
        ({"MsgType": 44, "Content": None}, "[视频]", MessageMedia(MessageKind.VIDEO, "77")),
        (
            {"MsgType": 62, "Content": VIDEO},
            "[小视频]",
            MessageMedia(MessageKind.MICROVIDEO, "77", size=70000, seconds=9),
        ),
        ({"MsgType": 47, "Content": EMOTICON}, "[表情]", MessageMedia(MessageKind.EMOTICON, "77", size=4321)),
    ],
)
def test_media(raw: JsonObject, text: str, media: MessageMedia) -> None:
    found = message(raw)
    assert found.media is not None
    assert (found.kind, found.text, found.raw_kind) == (media.kind, text, str(raw["MsgType"]))
    assert replace(found.media, reference="") == media
    in_group = message({**raw, "FromUserName": GROUP, "Content": "@b:<br/>" + str(raw["Content"] or "")})
    assert (in_group.media, in_group.sender, in_group.chat) == (found.media, "@b", GROUP)


@pytest.mark.parametrize(
    ("kind", "content", "reference"),
    [
        (3, IMAGE, '<msg>\n\t<img length="6503" hdlength="0" />\n\t<commenturl></commenturl>\n</msg>'),
        (43, VIDEO, '<msg><videomsg length="70000" playlength="9"/></msg>'),
        (62, VIDEO, '<msg><videomsg length="70000" playlength="9"/></msg>'),
        (47, EMOTICON.replace('"00"', '"' + "0f" * 16 + '"'), "0f" * 16),
        # What can't be had by reference is sent by its content.
        (34, VOICE, ""),
        (47, EMOTICON, ""),
        (3, IMAGE[:-20], ""),
        (3, "", ""),
        (43, VIDEO.replace("/&gt;", "/&gt;" + " " * 70_000), ""),
    ],
)
def test_what_is_sent_again_by_reference(kind: int, content: str, reference: str) -> None:
    media = message({"MsgType": kind, "Content": content}).media
    assert media is not None
    assert (media.reference, media.id) == (reference, "77")
    assert "<msg>" not in repr(media)


FILE = (
    '<msg><appmsg appid="wx0000000000000001" sdkver="0"><title>报告 &amp; 数据.pdf</title><des></des><type>6</type>'
    "<appattach><totallen>28457</totallen><attachid>@cdn_x</attachid><fileext>pdf</fileext></appattach></appmsg>"
    "<fromusername>wxid_sample00000001</fromusername></msg>"
)


def test_a_file() -> None:
    raw: JsonObject = {
        "MsgType": 49,
        "AppMsgType": 6,
        "FileName": "报告 &amp; 数据.pdf",
        "FileSize": "28457",
        "MediaId": "@crypt_1122",
        "EncryFileName": "%E6%8A%A5",
        "Content": escaped(FILE),
    }
    found = message(raw)
    assert (found.kind, found.text, found.raw_kind) == (MessageKind.FILE, "[文件]", "49/6")
    assert found.media is not None
    assert (found.media.name, found.media.size) == ("报告 & 数据.pdf", 28457)
    assert found.media.id == "@crypt_1122"  # short, and nothing of the driver's own
    assert "<attachid>@crypt_1122</attachid>" in found.media.reference
    assert "@cdn_x" not in found.media.reference
    large = message({**raw, "FileSize": str(26_214_401)}).media
    assert large is not None
    assert large.reference == ""  # nobody has its Signature
    assert file_key(found.media.key) == FileKey("@a", "@crypt_1122", "%E6%8A%A5", "报告 & 数据.pdf")
    by_xml = message({"MsgType": 49, "AppMsgType": 0, "Content": escaped(FILE)})
    assert by_xml.media is not None
    assert (by_xml.kind, by_xml.media.name, by_xml.media.size) == (MessageKind.FILE, "报告 & 数据.pdf", 28457)
    assert message({"MsgType": 49, "AppMsgType": 6, "FileName": "x"}).media is None
    for nonsense in ("", "77", "[1,2,3,4]", '["a"]', "[" * 100_000):
        assert file_key(nonsense) is None


LINK = (
    '<msg><appmsg appid="wx1" sdkver="0"><title>T &amp; U</title><des>第一行</des><type>5</type>'
    "<url>http://x.invalid/?a=1&amp;amp;b=2</url></appmsg><appinfo><appname>应用</appname></appinfo></msg>"
)


def test_a_link() -> None:
    raw: JsonObject = {"MsgType": 49, "AppMsgType": 5, "Content": escaped(LINK)}
    found = message({**raw, "FileName": "T &amp; U", "Url": "http://x.invalid/?a=1&amp;amp;b=2"})
    app = AppShare("T & U", "http://x.invalid/?a=1&b=2", "第一行", "应用", "wx1", 5)
    assert (found.kind, found.app, found.raw_kind) == (MessageKind.APP, app, "49/5")
    assert found.text == (
        "[应用分享]标题：T & U\n[应用分享]描述：第一行\n[应用分享]应用：应用\n[应用分享]链接：http://x.invalid/?a=1&b=2"
    )
    assert message(raw).app == app
    bare = message({**raw, "Content": escaped("<msg><appmsg><type>5</type></appmsg></msg>")})
    assert bare.text == "[应用分享]标题：未知\n[应用分享]描述：未知\n[应用分享]应用：未知\n[应用分享]链接：未知"


QUOTE = (
    "<msg><appmsg><title>是的</title><type>57</type>"
    "<refermsg><type>1</type><content>?</content></refermsg></appmsg></msg>"
)


@pytest.mark.parametrize("content", [escaped(QUOTE), escaped(QUOTE)[:-40]])
def test_an_app_message_of_another_type(content: str) -> None:
    found = message({"MsgType": 49, "AppMsgType": 5, "Content": content})
    assert (found.kind, found.raw_kind, found.text) == (
        MessageKind.APP,
        "49/57",
        "[应用分享]标题：是的\n[应用分享]链接：",
    )


def test_a_card() -> None:
    xml = '<msg username="wxid_x" nickname="名 &amp; 字" alias="al" sex="2" province="广东" city="" bigheadimgurl="http://x"/>'
    raw: JsonObject = {"MsgType": 42, "RecommendInfo": {"UserName": "@card", "NickName": "other", "Sex": 1}}
    found = message({**raw, "Content": escaped(xml)})
    assert found.card == Card("@card", "名 & 字", "al", "广东", "", Sex.FEMALE, "http://x")
    assert found.text == "[名片]昵称：名 & 字\n[名片]性别：female\n[名片]位置：广东 未知\n[名片]头像：http://x"
    without = message(raw).card
    assert without == Card("@card", "other", sex=Sex.MALE)


ORIGINAL = (
    '<?xml version="1.0"?>\n<msg>\n\t<location x="22.540001" y="113.930001" scale="16" label="深圳市南山区" '
    'maptype="0" poiname="科技园" />\n</msg>\n'
)
MAP = "http://apis.map.qq.com/uri/v1/geocoder?coord=22.540001,113.930001"


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ({"MsgType": 1, "SubMsgType": 48, "Url": MAP, "OriContent": ORIGINAL}, "深圳市南山区"),
        ({"MsgType": 1, "SubMsgType": 48, "Url": MAP}, "科技园"),
        ({"MsgType": 1, "Url": MAP, "OriContent": ORIGINAL[:-30]}, "深圳市南山区"),
    ],
)
def test_a_location(raw: JsonObject, label: str) -> None:
    content = "科技园:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?url=xxx&msgid=1&pictype=location"
    for found in (
        message({**raw, "Content": content}),
        message({**raw, "Content": "@b:<br/>" + content, "FromUserName": GROUP}),
    ):
        assert (found.kind, found.text, found.raw_kind) == (MessageKind.LOCATION, "[位置]科技园", "48")
        assert found.place == Place("22.540001", "113.930001", label, MAP)
    as_sent = message({"MsgType": 48, "Content": escaped(ORIGINAL)})
    assert as_sent.place == Place("22.540001", "113.930001", "深圳市南山区")


@pytest.mark.parametrize(
    "words", ["what is pictype=location?", "x:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?pictype=location"]
)
def test_who_writes_like_a_location_sends_a_text(words: str) -> None:
    found = message({"MsgType": 1, "Content": words, "Url": "", "OriContent": ""})
    assert (found.kind, found.text) == (MessageKind.TEXT, words.replace("<br/>", "\n"))


def revocation(words: str, message_id: str) -> str:
    return escaped(
        '<sysmsg type="revokemsg"><revokemsg><session>wxid_x</session><oldmsgid>1072600000</oldmsgid>'
        f"<msgid>{message_id}</msgid><replacemsg><![CDATA[{words}]]></replacemsg></revokemsg></sysmsg>"
    )


def test_a_recall() -> None:
    raw: JsonObject = {"MsgType": 10002, "Content": revocation('"小明" 撤回了一条消息', "6423456789012345679")}
    found = message(raw)
    assert (found.kind, found.text) == (MessageKind.REVOKE, '[撤回消息]("小明" 撤回了一条消息)')
    assert (found.direction, found.revoked) == (Direction.RECEIVED, "6423456789012345679")
    prefixed = message({**raw, "FromUserName": GROUP, "Content": "7000@chatroom:<br/>" + str(raw["Content"])})
    assert (prefixed.revoked, prefixed.chat) == ("6423456789012345679", GROUP)


@pytest.mark.parametrize("words", ["你撤回了一条消息", "You recalled a message"])
def test_ones_own_recall_comes_from_the_peer(words: str) -> None:
    own = message({"MsgType": 10002, "Content": revocation(words, "5")})
    assert (own.direction, own.sender, own.chat, own.revoked) == (Direction.SENT_ELSEWHERE, "@me", "@a", "5")
    last = message({"MsgType": 10002, "Content": revocation(words, "0"), "FromUserName": GROUP})
    assert (last.direction, last.sender, last.chat, last.revoked) == (Direction.SENT_ELSEWHERE, "@me", GROUP, "0")


@pytest.mark.parametrize("odd", ["9e9", "nan", "-1", "1x", "9" * 40, ""])
def test_what_is_no_number_in_xml_is_told_as_none(odd: str) -> None:
    assert message({"MsgType": 10002, "Content": revocation("x", odd)}).revoked == "0"
    place = message({"MsgType": 48, "Content": escaped(f'<msg><location x="{odd}" y="1"/></msg>')}).place
    assert place is None or place.latitude.strip("-.0123456789") == ""


def pushed(*titles: str) -> str:
    items = "".join(
        f"<item><title><![CDATA[{title}]]></title><url><![CDATA[http://x.invalid/?a=1&amp;b={number}]]></url>"
        f"<digest><![CDATA[摘要{number}]]></digest><cover>http://x.invalid/{number}.jpg</cover></item>"
        for number, title in enumerate(titles)
    )
    return f"<mmreader><category type='20' count='{len(titles)}'><name>报纸</name>{items}</category></mmreader>"


def test_all_articles_of_a_push() -> None:
    content = "<msg><appmsg appid='' sdkver=''><title>甲 &amp; 乙</title><des>摘要0</des><type>5</type>"
    content += f"<url>http://x.invalid/?a=1&amp;amp;b=0</url>{pushed('甲 & 乙', '第二', '')}</appmsg></msg>"
    found = message({"MsgType": 49, "AppMsgType": 5, "Content": escaped(content)})
    assert found.app is not None
    assert [one.title for one in found.app.articles] == ["甲 & 乙", "第二", ""]
    second = found.app.articles[1]
    assert second == Article("第二", "http://x.invalid/?a=1&b=1", "摘要1", "http://x.invalid/1.jpg")
    assert found.text == (
        "[应用分享]标题：甲 & 乙\n[应用分享]描述：摘要0\n[应用分享]应用：未知\n[应用分享]链接：http://x.invalid/?a=1&b=0\n"
        "[应用分享]标题：第二\n[应用分享]描述：摘要1\n[应用分享]链接：http://x.invalid/?a=1&b=1\n"
        "[应用分享]标题：未知\n[应用分享]描述：摘要2\n[应用分享]链接：http://x.invalid/?a=1&b=2"
    )
    bare = message({"MsgType": 49, "AppMsgType": 5, "Content": escaped(pushed("一", "二"))})
    assert bare.app is not None
    assert (bare.app.title, bare.app.url, bare.app.description) == ("一", "http://x.invalid/?a=1&b=0", "摘要0")


def members(*names: str) -> str:
    listed = "".join(
        f"<member><username>wxid</username><nickname><![CDATA[{name}]]></nickname></member>" for name in names
    )
    return f"<memberlist>{listed}</memberlist>"


def test_a_template_with_its_people() -> None:
    xml = (
        '<sysmsg type="sysmsgtemplate"><sysmsgtemplate><content_template type="tmpl_type_profile"><plain></plain>'
        '<template><![CDATA["$username$"邀请"$names$"加入了群聊$others$，$unknown$]]></template><link_list>'
        f'<link name="username" type="link_profile">{members("A & B")}</link>'
        f'<link name="names" type="link_profile">{members("C", "$username$")}<separator>、</separator></link>'
        '<link name="others" type="link_plain"><plain><![CDATA[（撤销）]]></plain></link>'
        "</link_list></content_template></sysmsgtemplate></sysmsg>"
    )
    found = message({"MsgType": 10002, "Content": escaped(xml), "FromUserName": GROUP})
    assert (found.kind, found.sender) == (MessageKind.NOTICE, "")
    assert found.text == '"A & B"邀请"C、A & B"加入了群聊（撤销），$unknown$'
    broken = message({"MsgType": 10002, "Content": escaped(xml)[:-90], "FromUserName": GROUP})
    assert broken.text.startswith('"A & B"邀请"C、')
    bomb = xml.replace("$unknown$", "$names$" * 20_000).replace("C", "$names$" * 20_000)
    assert len(message({"MsgType": 10002, "Content": escaped(bomb)}).text) < 1_000_000


def test_a_friend_request() -> None:
    xml = '<msg fromusername="x" encryptusername="v1_x" fromnickname="新" content="我是新" ticket="v2_1@stranger"/>'
    # A name is a name: what acts on a terminal is none.
    name = "新\x1b\x07朋友"
    who: JsonObject = {"UserName": "@ffff", "NickName": name, "Content": "我是&lt;新", "Ticket": "v2_0@stranger"}
    raw: JsonObject = {"MsgId": "5", "MsgType": 37, "FromUserName": "fmessage", "ToUserName": "@me"}
    by_json = messages.message_of({**raw, "RecommendInfo": who}, "@me", False)
    assert isinstance(by_json, messages.IncomingFriendRequest)
    assert by_json.request == FriendRequest("@ffff", "新朋友", "我是<新", "v2_0@stranger")
    again = messages.message_of({**raw, "RecommendInfo": who, "MsgId": "6"}, "@me", False)
    assert isinstance(again, messages.IncomingFriendRequest)
    assert again.id == by_json.id
    assert "v2_0" not in repr(again)
    by_xml = messages.message_of({**raw, "Content": escaped(xml)}, "@me", False)
    assert isinstance(by_xml, messages.IncomingFriendRequest)
    assert by_xml.request == FriendRequest("v1_x", "新", "我是新", "v2_1@stranger")
    assert by_xml.id != by_json.id
    assert messages.message_of({**raw, "RecommendInfo": {"UserName": "@me"}}, "@me", False) is None


def test_emoji_in_xml() -> None:
    smile = '<span class="emoji emoji1f604"></span>'
    content = escaped("<msg><appmsg><title>") + smile + escaped("</title><type>5</type></appmsg></msg>")
    raw: JsonObject = {"MsgType": 49, "Content": content}
    for names, title in ((False, "😄"), (True, "[笑脸]")):
        app = message(raw, names).app
        assert app is not None
        assert app.title == title
