"""WeChat's texts made plain (weixin-web-protocol 8)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.drivers.web.decode import markup
from wxcontroller.drivers.web.decode.emoji import character_of, name_of
from wxcontroller.drivers.web.decode.markup import read
from wxcontroller.drivers.web.decode.text import is_group, plain, plain_name, split_sender, unescape
from wxcontroller.sandbox.markup import encode

SMILE = '<span class="emoji emoji1f604"></span>'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a &lt; b &amp;amp; c " + SMILE + "[微笑]", "a < b &amp; c 😄[微笑]"),
        ("one<br/>two<br>three<BR />", "one\ntwo\nthree\n"),
        ("&lt;br/&gt;", "<br/>"),
        ("&amp;lt;", "&lt;"),
        ("&lt;span class=&quot;emoji emoji1f604&quot;&gt;&lt;/span&gt;", '<span class="emoji emoji1f604"></span>'),
        ("&#39;&#x27;&quot;&nbsp;", "''\"\u00a0"),
        ("?a=1&lt=2&copy=3&unknown;", "?a=1&lt=2&copy=3&unknown;"),
        ("&#0;&#55296;&#1114112;&#99999999;", "&#0;&#55296;&#1114112;&#99999999;"),
        ('<span class="emoji emoji1f450"></span rest', "👐 rest"),
        ('<SPAN CLASS="EMOJI EMOJI1F604"></SPAN>', "😄"),
        ("<b>kept</b>", "<b>kept</b>"),
        ("", ""),
    ],
)
def test_plain(raw: str, expected: str) -> None:
    assert plain(raw, emoji_names=False) == expected


ENTITY = re.compile(r"&(amp|lt|gt|quot|apos|nbsp|#39|#38|#60|#x26);")
MEANT = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": "\u00a0"}
NUMBERS = {"#39": "'", "#38": "&", "#60": "<", "#x26": "&"}


@given(st.lists(st.sampled_from([*"&;#x", *MEANT, *NUMBERS, *(f"&{name};" for name in (*MEANT, *NUMBERS))])))
def test_entities_are_undone_once_whatever_stands_beside_them(pieces: list[str]) -> None:
    """As in one pass from left to right, in which nothing is looked at twice."""
    raw = "".join(pieces)
    assert unescape(raw) == ENTITY.sub(lambda found: {**MEANT, **NUMBERS}[found[1]], raw)


def test_emoji_as_names() -> None:
    assert plain(f"x{SMILE}y", emoji_names=True) == "x[笑脸]y"
    assert plain('<span class="emoji emoji1f9ff"></span>', emoji_names=True) == "[未知表情]"
    assert name_of("A9") == "[版权]"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a9", "©"),
        ("2600", "☀"),
        ("1f604", "😄"),
        ("2320e3", "#\u20e3"),
        ("002320e3", "#\u20e3"),
        ("1f1e81f1f3", "🇨🇳"),
        ("fffff", "\U000fffff"),
        ("1f6041f", "\ufffd"),
        ("d800", "\ufffd"),
        ("0", "\ufffd"),
    ],
)
def test_emoji_codes(code: str, expected: str) -> None:
    assert character_of(code) == expected


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r")))
def test_what_a_person_writes_is_what_a_person_reads(written: str) -> None:
    assert plain(encode(written), emoji_names=False) == written


@pytest.mark.parametrize(
    ("raw", "sender", "rest"),
    [
        ("@ab12:<br/>hi", "@ab12", "hi"),
        ("wxid_a-b:<br/>hi", "wxid_a-b", "hi"),
        ("@ab:<br/>x:<br/>y", "@ab", "x:<br/>y"),
        ("no prefix", "", "no prefix"),
        ("a b:<br/>hi", "", "a b:<br/>hi"),
        (" @ab:<br/>hi", "", " @ab:<br/>hi"),
        ("@你好:<br/>hi", "", "@你好:<br/>hi"),
    ],
)
def test_the_senders_prefix_is_cut_once(raw: str, sender: str, rest: str) -> None:
    assert split_sender(raw) == (sender, rest)


def test_groups_by_their_ids() -> None:
    assert is_group("@@abc")
    assert is_group("123@chatroom")
    assert not is_group("@abc")
    assert not is_group("filehelper")


SOUND = (
    '&lt;?xml version="1.0"?&gt;<br/>&lt;msg&gt;<br/>&lt;appmsg appid=\'wx1\' sdkver="0"&gt;'
    '&lt;title&gt;报告 &amp;amp; 数据<span class="emoji emoji1f604"></span>&lt;/title&gt;'
    "&lt;des&gt;&lt;![CDATA[c < d]]&gt;&lt;/des&gt;&lt;type&gt;57&lt;/type&gt;"
    "&lt;refermsg&gt;&lt;type&gt;1&lt;/type&gt;&lt;content&gt;&amp;amp;lt;a&amp;amp;gt;&lt;/content&gt;"
    "&lt;/refermsg&gt;&lt;/appmsg&gt;&lt;/msg&gt;"
)


def test_places_in_xml() -> None:
    xml = read("junk before " + SOUND.replace("c < d", "c &lt; d"), False)
    assert xml.whole
    assert xml.text("appmsg/title") == "报告 & 数据😄"
    assert xml.text("des") == "c < d"
    assert (xml.text("appmsg/type"), xml.text("refermsg/type")) == ("57", "1")
    assert xml.attribute("appmsg", "nothing", "sdkver", "appid") == "0"
    assert (xml.text("nothing"), xml.attribute("msg", "x"), xml.text("appmsg/refermsg/nothing")) == ("", "", "")


@pytest.mark.parametrize(
    "broken",
    [
        SOUND[:-30],
        SOUND.replace("&lt;/refermsg&gt;", ""),
        SOUND.replace("&lt;msg&gt;", "&lt;msg x=1&gt;"),
        SOUND.replace("&lt;msg&gt;", "&lt;msg&gt;&amp;nonsense;"),
        SOUND.replace("&lt;msg&gt;", '&lt;!DOCTYPE x [&lt;!ENTITY e "f"&gt;]&gt;&lt;msg&gt;'),
        SOUND.replace("&lt;msg&gt;", "&lt;x&gt;" * 60 + "&lt;msg&gt;"),
    ],
)
def test_places_in_broken_xml(broken: str) -> None:
    xml = read(broken, False)
    assert not xml.whole
    assert xml.text("appmsg/title") == "报告 & 数据😄"
    assert xml.text("appmsg/des") == "c < d"
    assert xml.text("appmsg/type") == "57"
    assert xml.attribute("appmsg", "appid") == "wx1"
    assert xml.attribute("appmsg", "sdkver") == "0"


def test_emoji_that_would_be_markup() -> None:
    xml = read('&lt;a&gt;<span class="emoji emoji3c"></span>b<span class="emoji emoji26"></span>&lt;/a&gt;', False)
    assert xml.text("a") == "<b&"


@pytest.mark.parametrize("piece", ["&lt;a ", "&lt;a&gt;", '&lt;a x="', "&lt;![CDATA[", "<br/>", "&amp;", "a=" * 3])
def test_much_nonsense_takes_no_time(piece: str) -> None:
    began = time.process_time()
    xml = read("&lt;" + piece * 60_000, False)
    assert (xml.text("msg/a"), xml.text("b"), xml.attribute("a", "y"), xml.attribute("a", "x")) is not None
    assert time.process_time() - began < 10


def test_a_name_can_not_act_on_a_terminal() -> None:
    assert plain_name("A&amp;B\x1b[2J\x9b1m<br/>\x07", emoji_names=False) == "A&B[2J1m"


def test_how_deep_long_and_rich_xml_may_be_are_limits() -> None:
    def deep(levels: int) -> str:
        return "<a>" * levels + "x" + "</a>" * levels

    assert read(deep(markup.XML_DEPTH), True).whole
    assert not read(deep(markup.XML_DEPTH + 1), True).whole
    long = "<a>" + "x" * markup.XML_LENGTH
    assert len(read(f"{long}</a>", True).text("a")) < markup.XML_LENGTH
    for elements, whole in ((markup.XML_ELEMENTS - 1, True), (markup.XML_ELEMENTS, False)):
        assert read("<a>" + "<b/>" * elements + "</a>", True).whole is whole
    for length, whole in ((markup.XML_NAME_LENGTH, True), (markup.XML_NAME_LENGTH + 1, False)):
        assert read(f"<{'a' * length}/>", True).whole is whole
