"""The content of messages by type (weixin-web-protocol 7.3 to 7.7). Nothing a peer can write makes this fail."""

import json
import re
from dataclasses import dataclass
from html import escape

from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.core.model import AppShare, Article, Card, MessageKind, MessageMedia, Place, Sex
from wxcontroller.drivers.web.decode import markup
from wxcontroller.drivers.web.decode.markup import Markup
from wxcontroller.drivers.web.decode.text import plain, unescape

# Articles of a push. WeChat's clients show eight.
PUSH_ARTICLES = 20
# In characters: XML that is kept for sending something again, with each of the media that are remembered.
REFERENCE_LENGTH = 8192
# In characters: what fills one place of a notice, such as names.
NOTICE_LENGTH = 1000
TEXT, FRIEND_REQUEST, CARD, EMOTICON, PLACE, APP, NOTICE, SYSMSG = 1, 37, 42, 47, 48, 49, 10000, 10002
_MEDIA = {
    3: MessageKind.IMAGE,
    34: MessageKind.VOICE,
    43: MessageKind.VIDEO,
    44: MessageKind.VIDEO,
    EMOTICON: MessageKind.EMOTICON,
    62: MessageKind.MICROVIDEO,
}
# App messages that contain only media (7.4).
_APP_IMAGE, _APP_LINK, _APP_FILE, _APP_EMOTICON, _APP_QUOTE = 2, 5, 6, 8, 57
_APP_TRANSFER, _APP_RED_PACKET = 2000, 2001
_WORDS = {
    MessageKind.IMAGE: "[图片]",
    MessageKind.VOICE: "[语音]",
    MessageKind.VIDEO: "[视频]",
    MessageKind.MICROVIDEO: "[小视频]",
    MessageKind.EMOTICON: "[表情]",
    MessageKind.FILE: "[文件]",
}
_ON_THE_PHONE = "(获取数据为空，可能需要手机查看)"
_CALL = "[通话，请在手机上查看]"
_RED_PACKET = "[红包，请在手机上查看]"
_UNSUPPORTED = "[不支持的消息，请在手机上查看]"
_NOT_KNOWN = "未知"
_OWN_RECALLS = ("你撤回了一条消息", "You recalled a message")
_SEXES = {1: Sex.MALE, 2: Sex.FEMALE}
_COORDINATES = re.compile(r"coord=(-?\d{1,3}(?:\.\d{1,12})?)(?:,|%2C)(-?\d{1,3}(?:\.\d{1,12})?)")
_DEGREES = re.compile(r"-?\d{1,3}(?:\.\d{1,12})?")
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
# Searches no further than the next tag: a message can be full of start tags without an end.
_ATTACHMENT = re.compile(r"<attachid>(?:<!\[CDATA\[)?[^<\]]{0,2000}(?:\]\]>)?</attachid>|<attachid ?/>")
_PLACEHOLDER = re.compile(r"\$([A-Za-z_]{1,40})\$")
_LARGE = 26_214_400  # bytes above which a file can be sent by its content only (5.9)


@dataclass(frozen=True, slots=True)
class DecodedContent:
    """A message without its envelope. Fields as in model.Message; ``own``: it is one's own although it came as the
    peer's (7.7). ``revoked`` is "0" when the last message of one's own in the chat is meant."""

    kind: MessageKind
    text: str
    raw_kind: str
    media: MessageMedia | None = None
    app: AppShare | None = None
    card: Card | None = None
    place: Place | None = None
    revoked: str = ""
    own: bool = False


def content_of(
    raw: JsonObject,
    kind: int,
    message_id: str,
    content: str,
    emoji_names: bool,
) -> DecodedContent:
    """Read an entry of AddMsgList whose Content, rid of a group's prefix, is ``content``; ``kind`` is its MsgType."""
    if kind == TEXT:
        if integer(raw.get("SubMsgType")) == PLACE or shown_as_place(raw, content):
            return _place(raw, content.partition(":<br/>")[0], emoji_names)
        if text(raw.get("FromUserName")) == "newsapp":
            return news(markup.read(content, emoji_names))
        words = plain(content, emoji_names)
        if not words and integer(raw.get("AppMsgType")) == _APP_RED_PACKET:
            words = _RED_PACKET
        return DecodedContent(MessageKind.TEXT, words, "1")
    if kind == NOTICE:
        return DecodedContent(MessageKind.NOTICE, plain(content, emoji_names), "10000")
    if kind in (50, 53):
        return DecodedContent(MessageKind.OTHER, _CALL, str(kind))
    if kind == PLACE:
        return _place(raw, "", emoji_names, content)
    if kind == CARD:
        return _card(raw, markup.read(content, emoji_names), emoji_names)
    if kind == APP:
        return _app(raw, markup.read(content, emoji_names), message_id, emoji_names)
    if kind == SYSMSG:
        return sysmsg(markup.read(content, emoji_names))
    if kind in _MEDIA:
        return _media(raw, markup.read(content, emoji_names), _MEDIA[kind], message_id, str(kind))
    return DecodedContent(MessageKind.OTHER, _UNSUPPORTED, str(kind))


# -- media


def _media(raw: JsonObject, xml: Markup, kind: MessageKind, message_id: str, raw_kind: str) -> DecodedContent:
    words = _WORDS[kind]
    if kind is MessageKind.EMOTICON and integer(raw.get("HasProductId")) != 0:
        # From WeChat's store: the web only learns that there was one (7.5).
        return DecodedContent(kind, words + _ON_THE_PHONE, raw_kind)
    place, sizes = {
        MessageKind.IMAGE: ("img", ("hdlength", "length")),
        MessageKind.VOICE: ("voicemsg", ("length",)),
        MessageKind.EMOTICON: ("emoji", ("len",)),
    }.get(kind, ("videomsg", ("length",)))
    size = next((found for name in sizes if (found := _count(xml.attribute(place, name)))), 0)
    seconds = 0.0
    if kind is MessageKind.VOICE:
        seconds = (_count(raw.get("VoiceLength")) or _count(xml.attribute(place, "voicelength"))) / 1000
    elif kind is not MessageKind.IMAGE:
        seconds = float(_count(raw.get("PlayLength")) or _count(xml.attribute(place, "playlength")))
    reference = ""
    if kind is MessageKind.EMOTICON:
        md5 = xml.attribute(place, "md5") or xml.text("appattach/emoticonmd5")
        reference = md5 if _MD5.fullmatch(md5) else ""
    elif kind is not MessageKind.VOICE and xml.whole and xml.attribute(place, *sizes):  # 5.11; voice cannot be sent
        reference = _reference(xml.source, REFERENCE_LENGTH)
    return DecodedContent(
        kind, words, raw_kind, media=MessageMedia(kind, message_id, "", size, seconds, reference=reference)
    )


def _reference(xml: str, limit: int) -> str:
    return xml.strip() if len(xml) <= limit else ""


@dataclass(frozen=True, slots=True)
class FileKey:
    """The fields needed to fetch a received file (5.13); ``encrypted`` is its EncryFileName."""

    sender: str
    media_id: str
    encrypted: str
    name: str


def file_key(key: str) -> FileKey | None:
    """Read the key of a received file's Media; None for one that is not from here."""
    try:
        content = json.loads(key)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, list) and len(content) == 4 and all(isinstance(part, str) for part in content):
        return FileKey(*(part.encode("utf-8", "replace").decode() for part in content))
    return None


def file(raw: JsonObject, xml: Markup, raw_kind: str, emoji_names: bool) -> DecodedContent:
    name = plain(text(raw.get("FileName")), emoji_names) or xml.text("appmsg/title")
    media_id = text(raw.get("MediaId")) or xml.text("appattach/attachid")
    parts = [text(raw.get("FromUserName")), media_id, text(raw.get("EncryFileName")), name]
    size = _count(raw.get("FileSize")) or _count(xml.text("appattach/totallen"))
    words = _WORDS[MessageKind.FILE]
    if not media_id:
        return DecodedContent(MessageKind.FILE, words, raw_kind)
    reference = ""
    if xml.whole and 0 < size <= _LARGE and xml.attribute("appmsg", "appid", "sdkver"):
        # The sender's handle is not valid for others (5.11).
        replaced, number = _ATTACHMENT.subn(lambda _: f"<attachid>{escape(media_id)}</attachid>", xml.source)
        reference = _reference(replaced, REFERENCE_LENGTH) if number == 1 else ""
    key = json.dumps(parts, ensure_ascii=False)
    media = MessageMedia(MessageKind.FILE, key, name, size, public=media_id, reference=reference)
    return DecodedContent(MessageKind.FILE, words, raw_kind, media=media)


# -- shared content


def _app(raw: JsonObject, xml: Markup, message_id: str, emoji_names: bool) -> DecodedContent:
    # The XML's type is newer than the JSON's (7.4).
    app_type = _count(xml.text("appmsg/type")) or _count(raw.get("AppMsgType"))
    raw_kind = f"{APP}/{app_type}"
    if app_type == _APP_FILE:
        return file(raw, xml, raw_kind, emoji_names)
    if app_type == _APP_IMAGE:
        return _media(raw, xml, MessageKind.IMAGE, message_id, raw_kind)
    if app_type == _APP_EMOTICON:
        return _media(raw, xml, MessageKind.EMOTICON, message_id, raw_kind)
    description = xml.text("appmsg/des")
    if app_type == _APP_TRANSFER:
        return DecodedContent(MessageKind.PAYMENT, f"[转账]({description})", raw_kind)
    if app_type == _APP_QUOTE and not description:
        # The quoted message; it is escaped once more (8.2).
        quoted = unescape(xml.text("refermsg/content"))[:NOTICE_LENGTH]
        description = "：".join(part for part in (xml.text("refermsg/displayname"), quoted) if part)
    articles = _articles(xml, PUSH_ARTICLES)
    first = articles[0] if articles else Article("")
    # URLs are escaped once more than everything else (8.2).
    app = AppShare(
        title=plain(text(raw.get("FileName")), emoji_names) or xml.text("appmsg/title") or first.title,
        url=unescape(plain(text(raw.get("Url")), emoji_names)) or unescape(xml.text("appmsg/url")) or first.url,
        description=description or first.digest,
        app_name=xml.text("appinfo/appname")
        or xml.text("appmsg/sourcedisplayname")
        or xml.text("publisher/nickname"),
        app_id=xml.attribute("appmsg", "appid") or text(obj(raw.get("AppInfo")).get("AppID")),
        type=app_type,
        articles=articles,
    )
    return DecodedContent(MessageKind.APP, shared(app, app_type == _APP_LINK and bool(xml.source)), raw_kind, app=app)


def shared(app: AppShare, in_full: bool) -> str:
    """Return the text of a link, in four lines or two; for a push, with three lines for each further article."""
    if not in_full:
        return f"[应用分享]标题：{app.title}\n[应用分享]链接：{app.url}"
    lines = [("标题", app.title), ("描述", app.description), ("应用", app.app_name), ("链接", app.url)]
    for article in app.articles[1:]:
        lines += [("标题", article.title), ("描述", article.digest), ("链接", article.url)]
    return "\n".join(f"[应用分享]{name}：{value or _NOT_KNOWN}" for name, value in lines)


def _articles(xml: Markup, limit: int) -> tuple[Article, ...]:
    """Return the articles that an official account pushed together (7.4)."""
    items = xml.each("category/item") or xml.each("category/newitem")
    return tuple(
        Article(item.text("title"), unescape(item.text("url")), item.text("digest"), unescape(item.text("cover")))
        for item in items[:limit]
    )


def news(xml: Markup) -> DecodedContent:
    """Decode the messages of WeChat's news account: XML in a text."""
    articles = _articles(xml, PUSH_ARTICLES)
    if not articles:
        return DecodedContent(MessageKind.OTHER, _UNSUPPORTED, "1/newsapp")
    first = articles[0]
    app = AppShare(first.title, first.url, first.digest, xml.text("category/name"), "", _APP_LINK, articles)
    return DecodedContent(MessageKind.APP, shared(app, in_full=True), "1/newsapp", app=app)


def _card(raw: JsonObject, xml: Markup, emoji_names: bool) -> DecodedContent:
    who = obj(raw.get("RecommendInfo"))

    def named(attribute: str, key: str) -> str:
        return xml.attribute("msg", attribute) or plain(text(who.get(key)), emoji_names)

    card = Card(
        id=text(who.get("UserName")) or xml.attribute("msg", "username"),
        name=named("nickname", "NickName"),
        account=named("alias", "Alias"),
        province=named("province", "Province"),
        city=named("city", "City"),
        sex=_SEXES.get(integer(xml.attribute("msg", "sex"), integer(who.get("Sex"))), Sex.UNKNOWN),
        avatar=xml.attribute("msg", "bigheadimgurl", "smallheadimgurl"),
    )
    lines = {
        "昵称": card.name or _NOT_KNOWN,
        "性别": card.sex.value or _NOT_KNOWN,
        "位置": f"{card.province or _NOT_KNOWN} {card.city or _NOT_KNOWN}",
        "头像": card.avatar or _NOT_KNOWN,
    }
    words = "\n".join(f"[名片]{name}：{value}" for name, value in lines.items())
    return DecodedContent(MessageKind.CARD, words, str(CARD), card=card)


def shown_as_place(raw: JsonObject, content: str) -> bool:
    """Whether a text without SubMsgType is a location. Anyone can imitate the text, but not the fields."""
    return "pictype=location" in content and bool(text(raw.get("Url")) or text(raw.get("OriContent")))


def _place(raw: JsonObject, name: str, emoji_names: bool, content: str = "") -> DecodedContent:
    # OriContent is the XML itself; in Content it is escaped like everything there.
    xml = markup.read(text(raw.get("OriContent")) or content, emoji_names)
    url = unescape(plain(text(raw.get("Url")), emoji_names))
    latitude, longitude = xml.attribute("location", "x"), xml.attribute("location", "y")
    if not (_DEGREES.fullmatch(latitude) and _DEGREES.fullmatch(longitude)):
        match = _COORDINATES.search(url)
        latitude, longitude = (match[1], match[2]) if match else ("", "")
    label = xml.attribute("location", "label", "poiname") or plain(name, emoji_names)
    shown = plain(name, emoji_names) or xml.attribute("location", "poiname") or label
    place = Place(latitude, longitude, label, url)
    return DecodedContent(MessageKind.LOCATION, f"[位置]{shown}", str(PLACE), place=place)


# -- WeChat's notices


def sysmsg(xml: Markup) -> DecodedContent:
    kind = xml.attribute("sysmsg", "type")
    words = xml.text("revokemsg/replacemsg")
    if kind == "revokemsg" or words:
        revoked = xml.text("revokemsg/msgid") or xml.text("revokemsg/newmsgid")
        return DecodedContent(
            MessageKind.REVOKE,
            f"[撤回消息]({words})" if words else "[撤回消息]",
            str(SYSMSG),
            revoked=revoked if revoked.isdecimal() and len(revoked) <= 20 else "0",
            own=words.startswith(_OWN_RECALLS) or revoked == "0",
        )
    words = next((found for name in ("template", "plain", "content", "text") if (found := xml.text(name))), "")
    words = filled(words, xml, NOTICE_LENGTH)
    raw_kind = f"{SYSMSG}/{kind[:40]}" if kind else str(SYSMSG)
    return DecodedContent(MessageKind.NOTICE if words else MessageKind.OTHER, words or _UNSUPPORTED, raw_kind)


def filled(template: str, xml: Markup, limit: int) -> str:
    """Fill a template with the people and texts of its link_list, ``limit`` characters in each place. Names that are
    not in the list are not replaced.
    """
    values: dict[str, str] = {}
    for link in xml.each("link_list/link"):
        names = [member.text("nickname") or member.text("username") for member in link.each("memberlist/member")]
        shown = (link.text("separator") or "、").join(name for name in names if name)
        shown = shown or link.text("title") or link.text("link/plain")
        values.setdefault(link.attribute("link", "name"), shown[:limit])
    for _ in range(2 if values else 0):  # the text of one link may contain another's name
        template = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template, count=50)
    return template


def _count(value: object) -> int:
    found = integer(value)
    return found if 0 < found < 1 << 48 else 0
