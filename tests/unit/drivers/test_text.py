"""WeChat's texts made plain (weixin-web-protocol 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.drivers.web.emoji import character_of, name_of
from wxcontroller.drivers.web.text import element, is_group, markup, plain, plain_name, split_sender
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


@given(st.text(alphabet="0123456789abcdefABCDEF", min_size=1, max_size=10))
def test_any_emoji_code_becomes_text(code: str) -> None:
    character_of(code).encode()
    name_of(code).encode()


@given(st.text())
def test_any_text_becomes_plain(raw: str) -> None:
    plain(raw, emoji_names=True)
    plain(raw, emoji_names=False)
    markup(raw)
    split_sender(raw)
    is_group(raw)


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


def test_elements_by_pattern() -> None:
    xml = "junk <msg><title>a &amp; b</title><des><![CDATA[c < d]]></des><type >6</type ></msg"
    assert element(xml, "title", False) == "a & b"
    assert element(xml, "des", False) == "c < d"
    assert element(xml, "nothing", False) == ""


def test_a_name_can_not_act_on_a_terminal() -> None:
    assert plain_name("A&amp;B\x1b[2J\x9b1m<br/>\x07", emoji_names=False) == "A&B[2J1m"
