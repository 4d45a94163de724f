"""Every kind of message, and what its report holds (weixin-web-protocol 7, openwx-api 3.2)."""

from dataclasses import dataclass, field, replace

from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.sandbox.ilink.items import KeyForm
from wxcontroller.sandbox.media import samplemedia

FRIEND, GROUP, PHONE, PHONE_GROUP = "friend", "group", "phone", "phone in a group"
EVERYWHERE = (FRIEND, GROUP, PHONE, PHONE_GROUP)
# For kinds that people cannot send.
RECEIVED = (FRIEND, GROUP)
ALONE = (FRIEND,)
UNSUPPORTED = "[不支持的消息，请在手机上查看]"


@dataclass(frozen=True)
class Incoming:
    """One kind. ``body`` is what the sandbox is asked for; ``first`` a message before, whose id ``body`` gets.

    ``content`` and ``fields`` are expected in the report; in ``content`` {path} is media_path. Fields of media are
    checked against the content itself, ``fields`` has what differs.
    """

    name: str
    type: str
    body: JsonObject
    format: str
    content: str
    fields: JsonObject = field(default_factory=dict)
    where: tuple[str, ...] = EVERYWHERE
    media: str = ""
    first: JsonObject | None = None


def escaped(xml: str) -> str:
    """XML as WeChat puts it into Content."""
    return xml.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br/>")


def raw(msg_type: int, xml: str = "", **fields: JsonValue) -> JsonObject:
    return {"kind": "raw", "msg_type": msg_type, "text": escaped(xml), "fields": fields}


def app(app_type: int, inside: str = "", title: str = "题 & 目", **fields: JsonValue) -> JsonObject:
    xml = f"<msg><appmsg appid='wx1' sdkver=''><title>{title.replace('&', '&amp;')}</title><type>{app_type}</type>"
    return raw(49, f"{xml}{inside}</appmsg></msg>", AppMsgType=app_type if app_type < 19 else 5, **fields)


def shared(
    number: int, title: str = "题 & 目", url: str = "", description: str = "", name: str = "", app_id: str = "wx1"
) -> JsonObject:
    words: JsonObject = {"app_title": title, "app_url": url, "app_name": name, "app_desc": description}
    return {"app_id": app_id, "app_type": number, **words, "app_articles": []}


def articles(summary: str) -> list[JsonValue]:
    """Three articles; ``summary`` is what that of each is called."""
    url, cover = "http://x.invalid/?a={}&b=2", "http://x.invalid/c?d&e"
    return [{"title": f"第{n}", "url": url.format(n), summary: f"摘要 <{n}>", "cover": cover} for n in (1, 2, 3)]


def medium(name: str, number: str, words: str, kind: str, **body: JsonValue) -> Incoming:
    return Incoming(name, number, {"kind": kind, **body}, "media", f"[{words}]({{path}})", media=kind)


def share(number: int, name: str, inside: str = "", description: str = "", **more: JsonValue) -> Incoming:
    words = "[应用分享]标题：题 & 目\n[应用分享]链接："
    fields = shared(number, description=description)
    return Incoming(name, f"49/{number}", app(number, inside, "题 & 目", **more), "app", words, fields)


def other(name: str, number: str, words: str = UNSUPPORTED, where: tuple[str, ...] = EVERYWHERE) -> Incoming:
    return Incoming(name, number, raw(int(number)), "other", words, {"raw_kind": number}, where=where)


def notice(name: str, number: str, body: JsonObject, words: str, where: tuple[str, ...] = RECEIVED) -> Incoming:
    return Incoming(name, number, body, "text", words, where=where)


PLAIN_SHARES = {
    **{1: "text of an app", 4: "video link", 7: "open-platform app", 13: "goods, coupon, voice remind"},
    **{17: "real-time location", 53: "group note", 87: "group announcement", 2001: "red packet"},
    9999: "app of a kind nobody knows",
}
URL = "http://x.invalid/?a=1&b=2"
PLACE: JsonObject = {
    **{"location_latitude": "22.540001", "location_longitude": "113.930001", "location_label": "深圳市南山区科技园"},
    "location_url": "http://apis.map.qq.com/uri/v1/geocoder?coord=22.540001,113.930001",
}
PLACE_XML = '<msg><location x="22.540001" y="113.930001" label="深圳市南山区科技园" poiname="科技园"/></msg>'
TEXT = "a < b &amp; c 😄[微笑] @谁 \n第二行 <br/>"
SEVERAL = (
    "[应用分享]标题：第1\n[应用分享]描述：摘要 <1>\n[应用分享]应用：{sender}\n[应用分享]链接：http://x.invalid/?a=1&b=2\n"
    "[应用分享]标题：第2\n[应用分享]描述：摘要 <2>\n[应用分享]链接：http://x.invalid/?a=2&b=2\n"
    "[应用分享]标题：第3\n[应用分享]描述：摘要 <3>\n[应用分享]链接：http://x.invalid/?a=3&b=2"
)
LINK = f"[应用分享]标题：题 & 目\n[应用分享]描述：说 <明>\n[应用分享]应用：应用\n[应用分享]链接：{URL}"
LINKED: JsonObject = {"kind": "link", "title": "题 & 目", "url": URL, "description": "说 <明>", "app_name": "应用"}
ARTICLES = {**shared(5, "第1", URL, "摘要 <1>", "{sender}", app_id=""), "app_articles": articles("digest")}
QUOTED = "<refermsg><type>1</type><displayname>甲</displayname><content>几点&amp;lt;</content></refermsg>"
PAPER: JsonObject = {"media_name": "报告 & 数据.pdf", "media_mime": "application/pdf"}
PEOPLE: JsonObject = {"who": ["A"], "names": ["B & C", "D"]}
TEMPLATE: JsonObject = {"kind": "template", "text": '"$who$"邀请"$names$"加入了群聊', "people": PEOPLE}
PAT = '<sysmsg type="pat"><pat><template><![CDATA["A" 拍了拍 "B"]]></template></pat></sysmsg>'
PAYMENT = raw(10002, '<sysmsg type="paymsg"><paymsg/></sysmsg>')
MENTION: JsonObject = {"kind": "text", "text": "@领队\u2005几点?"}
JOINED = '"A"邀请"B & C"加入了群聊'
PAID = "[转账](收到转账8.88元。如需收钱，请点此升级至最新版本)"
BOUGHT: JsonObject = {"kind": "emoticon", "store": True}
EMPTY = "[表情](获取数据为空，可能需要手机查看)"
NEWSPAPER: JsonObject = {"kind": "articles", "articles": articles("description")}
TAKEN_BACK = Incoming("message taken back", "10002/revokemsg", {"kind": "revoke"}, "revoke", "[撤回消息]({words})")

INCOMING = (
    Incoming("text", "1", {"kind": "text", "text": TEXT}, "text", TEXT.replace("😄", "[笑脸]")),
    Incoming("mention in a group", "1", MENTION, "text", "@领队 几点?", where=(GROUP, PHONE_GROUP)),
    Incoming("red packet as a text", "1/2001", raw(1, AppMsgType=2001), "text", "[红包，请在手机上查看]"),
    medium("picture", "3", "图片", "image"),
    medium("picture of an app", "49/2", "图片", "image", shared=True),
    medium("voice", "34", "语音", "voice"),
    medium("video", "43", "视频", "video"),
    Incoming("video export", "44", raw(44), "media", "[视频](non-exist-path)", media="video"),
    medium("micro video", "62", "小视频", "microvideo"),
    medium("emoticon", "47", "表情", "emoticon"),
    Incoming("emoticon of the store", "47", BOUGHT, "media", EMPTY, media="emoticon"),
    medium("emoticon of an app", "49/8", "表情", "emoticon", shared=True),
    replace(medium("file", "49/6", "文件", "file"), body={"kind": "file", "name": "报告 & 数据.pdf"}, fields=PAPER),
    Incoming("link", "49/5", LINKED, "app", LINK, shared(5, "题 & 目", URL, "说 <明>", "应用", "")),
    Incoming("several articles", "49/5", NEWSPAPER, "app", SEVERAL, ARTICLES, ("official",)),
    *(share(number, name) for number, name in PLAIN_SHARES.items()),
    share(3, "music", Url=""),
    share(19, "chat history", "<des>甲：你好</des>", "甲：你好"),
    share(33, "mini program", "<weappinfo><appid>x</appid></weappinfo>"),
    share(51, "Channels video", "<finderFeed/>"),
    share(57, "quote reply", QUOTED, "甲：几点<"),
    Incoming("transfer", "49/2000", {"kind": "transfer", "amount": "8.88"}, "payment", PAID),
    Incoming("location", "1/48", {"kind": "location"}, "location", "[位置]科技园", PLACE),
    Incoming("raw location", "48", raw(48, PLACE_XML), "location", "[位置]科技园", {**PLACE, "location_url": ""}),
    notice("joined, red packet, not a friend any more", "10000", {"kind": "notice", "text": JOINED}, JOINED),
    notice("with people filled in", "10002/sysmsgtemplate", TEMPLATE, '"A"邀请"B & C、D"加入了群聊'),
    notice("pat", "10002/pat", raw(10002, PAT), '"A" 拍了拍 "B"', ALONE),
    Incoming("WeChat's words", "10002/…", PAYMENT, "other", UNSUPPORTED, {"raw_kind": "10002/paymsg"}),
    replace(TAKEN_BACK, fields={"revoke_id": "{first}"}, first={"kind": "text", "text": "oops"}),
    replace(other("call", "50", "[通话，请在手机上查看]", RECEIVED), body={"kind": "voip"}),
    other("call invitation", "53", "[通话，请在手机上查看]"),
    other("possible friend", "40"),
    other("mail and QQ of old times", "35"),
    other("anything else", "4711"),
)

# Types without content for people: no report.
SILENT = {"51": raw(51, StatusNotifyCode=2), "52": raw(52), "9999": raw(9999)}


PNG, GIF, MP3, MP4 = samplemedia.png("x"), samplemedia.gif("x"), samplemedia.mp3(1500), samplemedia.mp4("x")


@dataclass(frozen=True)
class Outgoing:
    """A send: parameters of the call, ``data`` is media_data. ``kind``, ``title`` and ``media_id`` as the other side
    and the caller get them; ``gets`` is the text.

    ``received``: media of this kind have arrived and are sent on by their media_id; ``by_reference``: without an
    upload.
    """

    name: str
    parameters: dict[str, str]
    kind: str
    data: bytes = b""
    gets: str = ""
    title: str = ""
    code: int = 0
    received: str = ""
    by_reference: bool = False


WEBP, PDF = b"RIFF\0\0\0\0WEBP" + bytes(99), b"%PDF" + bytes(700_000)
OUTGOING = (
    Outgoing("text", {"content": TEXT}, "text", gets=TEXT),
    Outgoing("picture", {"media_name": "照片 & <x>.png"}, "image", PNG, code=3),
    Outgoing("GIF", {"media_name": "动.gif"}, "emoticon", GIF, code=47),
    Outgoing("video", {"media_name": "film.mp4"}, "video", MP4, code=43),
    Outgoing("sound", {"media_name": "voice.mp3"}, "file", MP3, title="voice.mp3", code=6),
    Outgoing("WebP picture", {"media_name": "x.webp"}, "file", WEBP, title="x.webp", code=6),
    Outgoing("file", {"media_name": "报告 & <数据>.pdf"}, "file", PDF, title="报告 & <数据>.pdf", code=6),
    Outgoing("picture as a file", {"media_name": "x.png", "media_type": "file"}, "file", PNG, title="x.png", code=6),
    Outgoing("received picture", {}, "image", code=3, received="image", by_reference=True),
    Outgoing("received emoticon", {}, "emoticon", code=47, received="emoticon", by_reference=True),
    Outgoing("received video", {}, "video", code=43, received="video", by_reference=True),
    Outgoing("received micro video", {}, "video", code=62, received="microvideo", by_reference=True),
    Outgoing("received file", {}, "file", title="报告 & 数据.txt", code=6, received="file", by_reference=True),
    Outgoing("received voice", {}, "file", title="voice.mp3", code=6, received="voice"),
)


@dataclass(frozen=True)
class ILinkIncoming:
    """A kind on the iLink route (ilink-bot-protocol 7.1). As Incoming; ``form`` is that of the content's key."""

    name: str
    format: str
    content: str
    media: str = ""
    data: bytes = b""
    file_name: str = ""
    form: KeyForm = KeyForm.RAW
    full_url: bool = True
    transcript: str = ""
    fields: JsonObject = field(default_factory=dict)


def _typed(code: int, mime: str, extension: str) -> JsonObject:
    return {"media_code": code, "media_mime": mime, "media_ext": extension}


_PDF = b"%PDF" + bytes(70_000)
_SILK = samplemedia.silk()
_PNG_TYPE, _MP4_TYPE, _SILK_TYPE = (
    _typed(3, "image/png", "png"),
    _typed(43, "video/mp4", "mp4"),
    _typed(34, "audio/silk", "silk"),
)
# What differs from the web route: no groups, cards, locations, shares or notices arrive; voice comes as SILK and with
# WeChat's own transcript; ids and names of people are the ids of the protocol.
ILINK_INCOMING = (
    ILinkIncoming("text", "text", TEXT),
    ILinkIncoming("picture", "media", "[图片]({path})", "image", PNG, fields=_PNG_TYPE),
    ILinkIncoming("picture, hex key", "media", "[图片]({path})", "image", PNG, form=KeyForm.HEX, fields=_PNG_TYPE),
    ILinkIncoming("picture, no key", "media", "[图片]({path})", "image", PNG, form=KeyForm.NONE, fields=_PNG_TYPE),
    ILinkIncoming("voice", "media", "[语音]({path})", "voice", _SILK, fields=_SILK_TYPE),
    ILinkIncoming(
        *("voice with a transcript", "media", "[语音]({path})\n你好", "voice", _SILK),
        transcript="你好",
        fields={**_SILK_TYPE, "media_text": "你好"},
    ),
    ILinkIncoming("video", "media", "[视频]({path})", "video", MP4, full_url=False, fields=_MP4_TYPE),
    ILinkIncoming(
        *("file", "media", "[文件]({path})", "file", _PDF, "报告 & 数据.pdf"),
        fields=_typed(6, "application/pdf", "pdf"),
    ),
    ILinkIncoming("anything else", "other", "", fields={"raw_kind": "8"}),
)
# Sound goes as a file (voice bubbles are not shown), and a GIF as a picture (there are no emoticons).
ILINK_OUTGOING = tuple(
    replace(one, kind="image", code=3) if one.name == "GIF" else one
    for one in OUTGOING
    if one.name != "WebP picture" and not one.received
)
