"""Messages of all kinds, in the form in which the server delivers them (7.3–7.7, 11.4)."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.sandbox.media.storedcontent import ContentItem
from wxcontroller.sandbox.media.webmarkup import encode
from wxcontroller.sandbox.world.phone import ServerAccount, Stranger
from wxcontroller.sandbox.world.websession import ServerMessage
from wxcontroller.sandbox.world.world import Person

TEXT, IMAGE, VOICE, FRIEND_REQUEST, CARD, VIDEO, EMOTICON, LOCATION = 1, 3, 34, 37, 42, 43, 47, 48
APP, VOIP, MICRO_VIDEO, NOTICE, SYSTEM = 49, 50, 62, 10000, 10002
FILE, LINK, TRANSFER = 6, 5, 2000  # AppMsgType


@dataclass(frozen=True, slots=True)
class Draft:
    """The addressing of a message, without its content."""

    msg_id: int
    peer: str
    sender: str

    def message(
        self, msg_type: int, content: str, fields: JsonObject | None = None, item: ContentItem | None = None
    ) -> ServerMessage:
        """Finish it. ``content`` is as delivered: an HTML fragment."""
        return ServerMessage(
            self.msg_id, int(time.time()), self.peer, self.sender, content, msg_type, fields=fields or {}, item=item
        )


def image(draft: Draft, item: ContentItem) -> ServerMessage:
    """Return a picture."""
    xml = (
        f'<?xml version="1.0"?>\n<msg>\n\t<img length="{item.size}" hdlength="0" md5="{item.md5}" />\n'
        "\t<commenturl></commenturl>\n</msg>\n"
    )
    return draft.message(IMAGE, encode(xml), {"ImgStatus": 2, "ImgWidth": 90, "ImgHeight": 120}, item)


def emoticon(draft: Draft, item: ContentItem) -> ServerMessage:
    """Return a user-made emoticon, which can be fetched."""
    xml = (
        f'<msg><emoji fromusername="{draft.sender}" tousername="{draft.peer}" type="2" md5="{item.md5}"'
        f' len="{item.size}" productid="" width="8" height="8" ></emoji>'
        '<gameext type="0" content="0" ></gameext></msg>'
    )
    return draft.message(EMOTICON, encode(xml), {"ImgStatus": 2, "ImgWidth": 120, "ImgHeight": 120}, item)


def store_emoticon(draft: Draft) -> ServerMessage:
    """Return an emoticon from the store, which the web never shows."""
    return draft.message(EMOTICON, "", {"HasProductId": 1})


def shared(draft: Draft, item: ContentItem) -> ServerMessage:
    """Return a picture or an emoticon that an app shared: an app message that contains only media (7.4)."""
    app_type = 8 if item.kind == "emoticon" else 2
    xml = (
        f'<msg><appmsg appid="wx0000000000000001" sdkver="0"><title></title><des></des><type>{app_type}</type>'
        f"<appattach><totallen>{item.size}</totallen><emoticonmd5>{item.md5 if app_type == 8 else ''}</emoticonmd5>"
        f"</appattach></appmsg><fromusername>{draft.sender}</fromusername></msg>"
    )
    return draft.message(APP, encode(xml), {"AppMsgType": app_type, "ImgStatus": 2}, item)


def voice(draft: Draft, item: ContentItem, milliseconds: int) -> ServerMessage:
    """Return a voice message."""
    xml = (
        f'<msg><voicemsg endflag="1" cancelflag="0" voiceformat="4" voicelength="{milliseconds}"'
        f' length="{item.size}" fromusername="{draft.sender}" /></msg>'
    )
    return draft.message(VOICE, encode(xml), {"VoiceLength": milliseconds}, item)


def video(draft: Draft, item: ContentItem, seconds: int, micro: bool) -> ServerMessage:
    """Return a video or micro video."""
    xml = (
        f'<?xml version="1.0"?>\n<msg>\n\t<videomsg length="{item.size}" playlength="{seconds}" md5="{item.md5}"'
        f' fromusername="{draft.sender}" />\n</msg>\n'
    )
    fields: JsonObject = {"PlayLength": seconds, "ImgWidth": 48, "ImgHeight": 48}
    return draft.message(MICRO_VIDEO if micro else VIDEO, encode(xml), fields, item)


def file(draft: Draft, item: ContentItem) -> ServerMessage:
    """Return a file."""
    _, dot, extension = item.name.rpartition(".")
    xml = (
        f'<msg><appmsg appid="wx0000000000000001" sdkver="0"><title>{escape(item.name)}</title><des></des>'
        f"<type>6</type><appattach><totallen>{item.size}</totallen><attachid>@cdn_{item.md5}</attachid>"
        f"<fileext>{escape(extension.lower()) if dot else ''}</fileext></appattach><md5>{item.md5}</md5></appmsg>"
        f"<fromusername>{draft.sender}</fromusername></msg>"
    )
    fields: JsonObject = {
        "AppMsgType": FILE,
        "FileName": encode(item.name),
        "FileSize": str(item.size),
        "MediaId": new_media_id(),
        "EncryFileName": encrypted_name(item.name),
        "AppInfo": {"AppID": "wx0000000000000001", "Type": 0},
    }
    return draft.message(APP, encode(xml), fields, item)


def link(draft: Draft, app_type: int, title: str, url: str, description: str, app_name: str) -> ServerMessage:
    """Return a link, or another app message that looks like one."""
    # URLs are escaped twice
    twice = escape(escape(url))
    xml = (
        f'<msg><appmsg appid="" sdkver="0"><title>{escape(title)}</title><des>{escape(description)}</des>'
        f"<type>{app_type}</type><url>{twice}</url><thumburl></thumburl></appmsg>"
        f"<fromusername>{draft.sender}</fromusername><appinfo><version>1</version>"
        f"<appname>{escape(app_name)}</appname></appinfo></msg>"
    )
    fields: JsonObject = {"AppMsgType": app_type, "FileName": encode(title), "Url": encode(escape(url))}
    return draft.message(APP, encode(xml), fields)


@dataclass(frozen=True, slots=True)
class PushArticle:
    """One article of an official account's message."""

    title: str
    url: str
    description: str
    cover: str


def articles(draft: Draft, name: str, pushed: Sequence[PushArticle]) -> ServerMessage:
    """Return a message of an official account, with several articles (7.4)."""
    items = "".join(
        f"<item><itemshowtype>4</itemshowtype><title><![CDATA[{cdata(article.title)}]]></title>"
        f"<url><![CDATA[{cdata(escape(article.url))}]]></url><shorturl></shorturl><pub_time>{int(time.time())}</pub_time>"
        f"<cover><![CDATA[{cdata(escape(article.cover))}]]></cover><digest><![CDATA[{cdata(article.description)}]]></digest>"
        "</item>"
        for article in pushed
    )
    first = pushed[0]
    xml = (
        f'<msg><appmsg appid="" sdkver="0"><title>{escape(first.title)}</title><des>{escape(first.description)}</des>'
        f'<type>5</type><url>{escape(escape(first.url))}</url><mmreader><category count="{len(pushed)}">'
        f"<name>{escape(name)}</name>{items}</category><publisher><nickname>{escape(name)}</nickname></publisher>"
        f"</mmreader></appmsg><fromusername>{draft.sender}</fromusername><appinfo><version>0</version>"
        f"<appname>{escape(name)}</appname></appinfo></msg>"
    )
    fields: JsonObject = {"AppMsgType": LINK, "FileName": encode(first.title), "Url": encode(escape(first.url))}
    return draft.message(APP, encode(xml), fields)


def template(draft: Draft, words: str, people: Mapping[str, Sequence[str]]) -> ServerMessage:
    """Return a notice with the template ``words``, whose placeholders ``people`` fill, as ``$names$`` (7.7)."""
    links = "".join(
        f'<link name={quoteattr(name)} type="link_profile"><memberlist>'
        + "".join(f"<member><nickname><![CDATA[{cdata(who)}]]></nickname></member>" for who in listed)
        + "</memberlist><separator><![CDATA[、]]></separator></link>"
        for name, listed in people.items()
    )
    xml = (
        '<sysmsg type="sysmsgtemplate"><sysmsgtemplate><content_template type="tmpl_type_profile"><plain></plain>'
        f"<template><![CDATA[{cdata(words)}]]></template><link_list>{links}</link_list>"
        "</content_template></sysmsgtemplate></sysmsg>"
    )
    return draft.message(SYSTEM, encode(xml))


def transfer(draft: Draft, amount: str, memo: str) -> ServerMessage:
    """Return a transfer of money."""
    des = f"收到转账{amount}元。如需收钱，请点此升级至最新版本"
    xml = (
        f'<msg><appmsg appid="" sdkver=""><title><![CDATA[微信转账]]></title><des><![CDATA[{des}]]></des>'
        f"<type>2000</type><wcpayinfo><paysubtype>1</paysubtype><feedesc><![CDATA[￥{amount}]]></feedesc>"
        f"<transferid><![CDATA[{draft.msg_id}]]></transferid><pay_memo><![CDATA[{cdata(memo)}]]></pay_memo>"
        "</wcpayinfo></appmsg></msg>"
    )
    return draft.message(APP, encode(xml), {"AppMsgType": TRANSFER, "FileName": "微信转账"})


def card(draft: Draft, person: Person) -> ServerMessage:
    """Return a contact card."""
    attributes = {
        "username": person.wxid,
        "nickname": person.name,
        "alias": person.alias,
        "province": person.province,
        "city": person.city,
        "sign": person.signature,
        "bigheadimgurl": f"http://wx.qlogo.invalid/mmhead/{person.wxid}/0",
        "smallheadimgurl": f"http://wx.qlogo.invalid/mmhead/{person.wxid}/132",
    }
    xml = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    xml = f'<?xml version="1.0"?>\n<msg{xml} sex="{person.sex}" scene="17" certflag="0" />\n'
    info: JsonObject = {
        "UserName": person.wxid,
        "NickName": encode(person.name),
        "Alias": person.alias,
        "Province": person.province,
        "City": person.city,
        "Sex": person.sex,
        "Scene": 17,
        "AttrStatus": person.attr,
    }
    return draft.message(CARD, encode(xml), {"RecommendInfo": info})


def location(draft: Draft, name: str, label: str, latitude: float, longitude: float) -> ServerMessage:
    """Return a location: a text with a map for the web, and its XML."""
    x, y = f"{latitude:.6f}", f"{longitude:.6f}"
    path = f"/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?url=xxx&msgid={draft.msg_id}&pictype=location"
    attributes = f'scale="16" label={quoteattr(label)} maptype="0" poiname={quoteattr(name)}'
    fields: JsonObject = {
        "SubMsgType": LOCATION,
        "Url": f"http://apis.map.qq.com/uri/v1/geocoder?coord={x},{y}",
        "OriContent": f'<?xml version="1.0"?>\n<msg>\n\t<location x="{x}" y="{y}" {attributes} />\n</msg>\n',
    }
    return draft.message(TEXT, f"{encode(name)}:<br/>{path}", fields)


def voip(draft: Draft) -> ServerMessage:
    """Return a call, which only the phone can answer."""
    return draft.message(VOIP, encode("<voipinvitemsg><roomid>0</roomid><status>1</status></voipinvitemsg>"))


def revoke(draft: Draft, msg_id: int, words: str, session: str) -> ServerMessage:
    """Take a message back (7.7)."""
    xml = (
        f'<sysmsg type="revokemsg"><revokemsg><session>{session}</session><oldmsgid>{msg_id % 2**31}</oldmsgid>'
        f"<msgid>{msg_id}</msgid><replacemsg><![CDATA[{cdata(words)}]]></replacemsg></revokemsg></sysmsg>"
    )
    return draft.message(SYSTEM, encode(xml))


def friend_request(msg_id: int, stranger: Stranger, greeting: str, scene: int) -> ServerMessage:
    """Return a friend request (7.6)."""
    info: JsonObject = {
        "UserName": stranger.alias_id,
        "NickName": encode(stranger.name),
        "Content": encode(greeting),
        "Ticket": stranger.ticket,
        "Scene": scene,
        "Sex": 2,
        "Province": "广东",
        "City": "深圳",
        "OpCode": 2,
    }
    xml = (
        f'<msg fromusername={quoteattr(stranger.wxid)} encryptusername="v1_{stranger.wxid}@stranger"'
        f" fromnickname={quoteattr(stranger.name)} content={quoteattr(greeting)} ticket={quoteattr(stranger.ticket)}"
        f' scene="{scene}" sex="2" country="CN" province="Guangdong" city="Shenzhen" opcode="2" />'
    )
    draft = Draft(msg_id, "fmessage", "fmessage")
    return draft.message(FRIEND_REQUEST, encode(xml), {"RecommendInfo": info})


def new_stranger(account: ServerAccount, name: str) -> Stranger:
    """Make up a person who sends a friend request."""
    stranger = Stranger("wxid_" + secrets.token_hex(7), name, f"v2_{secrets.token_hex(24)}@stranger")
    account.strangers[stranger.ticket] = stranger
    return stranger


def new_media_id() -> str:
    """Make a MediaId."""
    return f"@crypt_{secrets.token_hex(4)}_{secrets.token_hex(48)}"


def encrypted_name(name: str) -> str:
    """Return an EncryFileName, which is not really encrypted."""
    return quote(name, safe="").replace(".", "%2E").replace("-", "%2D").replace("_", "%5F")


def cdata(text: str) -> str:
    return text.replace("]]>", "]]&gt;")
