"""Parameters are read as scripts for the original send them; Host headers that are accepted."""

import json
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.openwx.contract.replies import record_reply, reply, to_bytes
from wxcontroller.openwx.http.credentials import from_form, spans_without_token
from wxcontroller.openwx.http.crosssite import own_host
from wxcontroller.openwx.http.parameters import (
    BadParameter,
    file_name_of,
    form_pairs,
    holds_parameters,
    query_of,
    query_pairs,
    values_of,
)

JSON = "application/json; charset=utf-8"


def multipart(boundary: str, *parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return body + f"--{boundary}--\r\n".encode()


def test_percent_plus_and_bare_names() -> None:
    assert query_pairs("a=%E4%BD%A0+%E5%A5%BD&flag&&=x&p=100%&q=%zz") == [
        ("a", "你 好"),
        ("flag", ""),
        ("", "x"),
        ("p", "100%"),
        ("q", "%zz"),
    ]
    assert query_of("/openwx/x?a=1?2#frag") == "a=1?2"
    assert query_pairs("a=你好") == [("a", "你好")]  # sent raw, as curl does


def test_bodies_of_other_types_have_no_parameters() -> None:
    for kind in ("text/json", "text/plain", "", "multipart/mixed; boundary=x"):
        assert form_pairs(kind, b"client=a") == []
        assert not holds_parameters("/openwx/get_user_info", kind)


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=40)), st.booleans(), st.sampled_from([None, 1]))
def test_strings_of_a_json_object_are_unchanged_parameters(
    texts: dict[str, str], ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(texts, ensure_ascii=ascii_only, indent=indent).encode()
    assert dict(form_pairs(JSON, body)) == texts
    for name, text in texts.items():
        assert form_pairs(JSON, body, only=name) == [(name, text)]


def test_numbers_and_booleans_are_text_and_null_is_absent() -> None:
    body = b'\xef\xbb\xbf { "a" : 12345678901234567890, "b":-1.50, "c":true,"d":false, "e":null, "a":1e3 }\n'
    assert form_pairs(JSON, body) == [
        ("a", "12345678901234567890"),
        ("b", "-1.50"),
        ("c", "true"),
        ("d", "false"),
        ("a", "1e3"),
    ]
    for empty in (b"", b" \r\n", b"null", b"{}", b" { } "):
        assert form_pairs(JSON, empty) == []


@pytest.mark.parametrize("value", ['{"b":1}', "[" * 100_000])
def test_nested_values_are_refused_by_name(value: str) -> None:
    with pytest.raises(BadParameter, match="parameter friends is an array or an object"):
        form_pairs(JSON, f'{{"id":"1","friends":{value}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        *b"""[1] "x" a=b {"a":1 {"a":1,} {'a':1} {"a":NaN} {"a":"\\x"} {"a":01}""".split(),
        *(b'{"a":1} x', b'{"a":"\n"}', b'{"a":"\\ud800"}', b'{"a":"\xff"}'),
    ],
)
def test_json_other_than_objects_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        form_pairs(JSON, body)


def test_large_json_is_read_in_pieces_that_cut_no_character() -> None:
    text = ("\n😀你" * 70_000) + "x"
    for ascii_only in (True, False):
        [(_, value)] = values_of("", JSON, json.dumps({"media_data": text}, ensure_ascii=ascii_only).encode())
        assert value.read().decode() == text
        assert max(map(len, value.pieces())) < 1 << 20


FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("kind", "body", "rest"),
    [
        (FORM, b"a=1&token=x", b"a=1&"),
        (FORM, b"%74%6f%6b%65%6e=x&a=1", b"a=1"),
        (JSON, b'{"a":1,"token":"x"}', b'{"a":1}'),
        (JSON, b'{"\\u0074oken":"x","a":1}', b'{"a":1}'),
        (PARTS, multipart("b", ("name=token", b"x"), ("name=a", b"1")), multipart("b", ("name=a", b"1"))),
        (PARTS, multipart("b", (r'name="t\oken"', b"x"), ("name=a", b"1")), multipart("b", ("name=a", b"1"))),
    ],
)
def test_a_token_is_found_and_removed_however_its_name_is_written(kind: str, body: bytes, rest: bytes) -> None:
    assert from_form(kind, body) == "x"
    assert b"".join(body[start:end] for start, end in spans_without_token(kind, body)) == rest
    assert from_form(kind, rest) is None
    assert spans_without_token(kind, rest) == [(0, len(rest))]


def test_multipart_fields_without_files() -> None:
    body = multipart(
        "XyZ",
        ('name="client"', "小店".encode()),
        ('name="media_data"; filename="a.jpg"', b"\x00\xff--XyZ\r\n\xff"),
        ("name=plain", b""),
        ('name="a\\"b"', b"1\r\n2"),
    )
    kind = 'multipart/form-data; boundary="XyZ"'
    assert form_pairs(kind, body) == [("client", "小店"), ("plain", ""), ('a"b', "1\r\n2")]
    assert form_pairs(kind, b"preamble\r\n" + body, only="client") == [("client", "小店")]
    assert form_pairs(kind, body[: body.index(b"filename")]) == [("client", "小店")]
    assert form_pairs(kind, b"") == []


def test_names_and_heads_that_are_too_long_are_passed_over() -> None:
    for length, expected in ((1000, [("n" * 1000, "1"), ("id", "2")]), (1001, [("id", "2")])):
        name = "n" * length
        assert query_pairs(f"{name}=1&id=2") == expected
        assert form_pairs(JSON, f'{{"{name}":"1","id":"2"}}'.encode()) == expected
    around = len("\r\nContent-Disposition: form-data; name=a\r\nX: ")
    for length, names in (((16 << 10) - 4, ["a", "id"]), ((16 << 10) - 3, ["id"])):
        long = ("name=a\r\nX: " + "x" * (length - around), b"1")
        pairs = form_pairs("multipart/form-data; boundary=b", multipart("b", long, ("name=id", b"2")))
        assert [name for name, _ in pairs] == names


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="a b.png"', "a b.png"),
        ("name=file; filename=b.png", "b.png"),
        ("""name="file"; filename="a.png"; filename*=UTF-8'zh'%E5%9B%BE.png""", "图.png"),
        ('name="file"', ""),
        ('name="file"; filename=""', ""),
        ('name="other"; filename="c.png"', ""),
    ],
)
def test_name_of_an_uploaded_file(disposition: str, name: str) -> None:
    body = multipart("b", ("name=first; filename=no.png", b"1"), (disposition, b"2"))
    assert file_name_of("multipart/form-data; boundary=b", body, "file") == name
    assert file_name_of("application/x-www-form-urlencoded", body, "file") == ""


def test_json_has_parameters_only_in_calls_of_the_contract() -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
        assert holds_parameters("/v1/messages", kind)
    assert [holds_parameters(path, JSON) for path in ("/openwx/x", "/v1/messages")] == [True, False]


def test_2000_parameters_are_read() -> None:
    query, names = "&".join(["a=1"] * 2000), ["a"] * 2000
    assert [name for name, _ in query_pairs(query)] == names
    kind, fields = "multipart/form-data; boundary=b", [("name=a", b"1")] * 2000
    assert [name for name, _ in form_pairs(kind, multipart("b", *fields))] == names
    with pytest.raises(BadParameter, match="more than 2000"):
        query_pairs(query + "&a=1")
    with pytest.raises(BadParameter, match="more than 2000"):
        form_pairs(kind, multipart("b", *fields, *fields[:1]))


def test_a_long_value_is_decoded_in_pieces_that_cut_no_escape() -> None:
    for before in range(64 * 1024 - 4, 64 * 1024 + 1):
        [(_, value)] = values_of("", "application/x-www-form-urlencoded", b"a=" + b"x" * before + b"%E5%9B%BE+y")
        assert value.read() == b"x" * before + "图 y".encode()
    [(_, value)] = values_of("", "application/x-www-form-urlencoded", b"a=" + b"%" * (64 * 1024 + 5))
    assert value.read() == b"%" * (64 * 1024 + 5)


def test_json_has_the_originals_format() -> None:
    value = reply(0, "success", url="http://x/y", name="小店", code=7)
    assert to_bytes(value) == '{"code":0,"name":"小店","status":"success","url":"http:\\/\\/x\\/y"}'.encode()
    assert to_bytes(["\ud800", "\u2028"]) == b'["\\ud800","\\u2028"]'


def test_result_fields_win_over_parameters() -> None:
    parameters = {"code": "9", "status": "x", "port": "1", "_hidden": "1", "log_head": "h", "post_api": "http://a/"}
    assert record_reply(0, "success", parameters, account="a", port=3000) == {
        "code": 0,
        "status": "success",
        "port": 3000,
        "account": "a",
        "post_api": "http://a/",
    }


# -- binary values, as media_data has them

FORM = "application/x-www-form-urlencoded"


def raw_pairs(*request: object) -> list[tuple[str, bytes]]:
    return [(name, value.read()) for name, value in values_of(*request)]  # type: ignore[arg-type]


@given(st.binary(max_size=300))
def test_content_is_returned_unchanged(content: bytes) -> None:
    encoded = f"id=1&media_data={quote_from_bytes(content)}"
    assert raw_pairs(encoded) == [("id", b"1"), ("media_data", content)]
    assert raw_pairs("", FORM, encoded.encode()) == [("id", b"1"), ("media_data", content)]
    head = b'--b0\r\nContent-Disposition: form-data; name="media_data"; filename="../x"\r\n\r\n'
    if b"\r\n--b0" not in content:
        assert raw_pairs("a=b", "multipart/form-data; boundary=b0", head + content + b"\r\n--b0--\r\n") == [
            ("a", b"b"),
            ("media_data", content),
        ]


@pytest.mark.parametrize("before", [b"", b"x", b"xx"])
def test_large_content_is_decoded_in_pieces_that_cut_no_escape(before: bytes) -> None:
    content = before + bytes(range(256)) * 1000
    body = b"media_data=" + before + b"%" + content[len(before) :].hex("%").encode()
    [(_, value)] = values_of("", FORM, body)
    pieces = list(value.pieces())
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 64 * 1024
    for odd in (b"%" * 200_000, b"%4" * 100_000, b"+%2" + b"%zz" * 70_000):
        [(_, value)] = values_of("", FORM, b"media_data=" + odd)
        assert value.read() == unquote_to_bytes(odd.replace(b"+", b" "))


# -- Host and Origin headers (openwx-api 5.3 no. 43)


def test_loopback_hosts_are_accepted() -> None:
    for host in (None, "127.0.0.1", "127.8.9.10:1", "[::1]", "[::1]:2000", "LocalHost:2000"):
        assert own_host(host, ())


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example:2000", "127.0.0.1.evil.example", "localhost.evil.example:2000", "*", "[::2]:2000"),
        *("127.0.0.1:2000@evil.example", "192.168.1.7:2000", "0.0.0.0:2000", "127.0.0.1\n"),
    ],
)
def test_foreign_hosts_are_refused(host: str) -> None:
    assert not own_host(host, ())
    assert not own_host(host, ("panel.example",))


def test_names_can_be_allowed_as_hosts_or_origins() -> None:
    for allowed in ("panel.example", "Panel.Example.", "panel.example:8443", "https://panel.example:8443", "*"):
        assert own_host("panel.example", (allowed,))
        assert own_host("panel.example:8443", (allowed,))
    assert not own_host("x.panel.example", ("panel.example",))
    assert own_host("[fd00::7]:2000", ("[fd00::7]",))
    assert not own_host("[fd00::8]:2000", ("[fd00::7]",))
