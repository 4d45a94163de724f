"""WeChat's texts made plain (weixin-web-protocol 8)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.drivers.web.decode import markup
from wxcontroller.drivers.web.decode.emoji import character_of
from wxcontroller.drivers.web.decode.markup import read
from wxcontroller.drivers.web.decode.text import plain, plain_name, split_sender, unescape
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
def test_entities_are_decoded_exactly_once(pieces: list[str]) -> None:
    """As in one pass from left to right, in which nothing is looked at twice."""
    raw = "".join(pieces)
    assert unescape(raw) == ENTITY.sub(lambda found: {**MEANT, **NUMBERS}[found[1]], raw)


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
def test_any_text_survives_encoding(written: str) -> None:
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


def test_emoji_that_would_be_markup() -> None:
    xml = read('&lt;a&gt;<span class="emoji emoji3c"></span>b<span class="emoji emoji26"></span>&lt;/a&gt;', False)
    assert xml.text("a") == "<b&"


def test_a_name_can_not_act_on_a_terminal() -> None:
    assert plain_name("A&amp;B\x1b[2J\x9b1m<br/>\x07", emoji_names=False) == "A&B[2J1m"


def test_limits_of_xml() -> None:
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
