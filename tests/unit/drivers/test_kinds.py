"""Every kind of message, as the specification shows it (weixin-web-protocol 7, 11.4)."""

import pytest

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Message, MessageKind
from wxcontroller.drivers.web.decode import messages

GROUP = "@@c0ffee"


def message(raw: JsonObject, names: bool = False) -> Message:
    entry: JsonObject = {"MsgId": "77", "CreateTime": 17, "FromUserName": "@a", "ToUserName": "@me", **raw}
    found = messages.message_of(entry, "@me", emoji_names=names)
    assert isinstance(found, Message)
    return found


def escaped(xml: str) -> str:
    return xml.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br/>")


@pytest.mark.parametrize(
    "words", ["what is pictype=location?", "x:<br/>/cgi-bin/mmwebwx-bin/webwxgetpubliclinkimg?pictype=location"]
)
def test_who_writes_like_a_location_sends_a_text(words: str) -> None:
    found = message({"MsgType": 1, "Content": words, "Url": "", "OriContent": ""})
    assert (found.kind, found.text) == (MessageKind.TEXT, words.replace("<br/>", "\n"))


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
