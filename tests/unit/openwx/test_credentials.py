"""Removing the token from a request leaves everything else as it is."""

from urllib.parse import parse_qsl, quote

from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.openwx import credentials
from wxcontroller.openwx.parameters import query_of, values_of

URLENCODED = "application/x-www-form-urlencoded"


NAMES = st.sampled_from(["token", "tok%65n", "client", "a", "", "tokens", "Token"])
PAIRS = st.lists(st.tuples(NAMES, st.text(max_size=8).map(quote)), max_size=8)


@given(PAIRS)
def test_every_token_goes_and_everything_else_stays(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    wanted = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "token"]
    left = query_of(credentials.without_token(f"/x?{query}"))
    assert parse_qsl(left, keep_blank_values=True) == wanted
    body = query.encode()
    kept = b"".join(body[start:end] for start, end in credentials.spans_without_token(URLENCODED, body))
    assert parse_qsl(kept.decode(), keep_blank_values=True) == wanted


FIELDS = st.lists(
    st.tuples(st.sampled_from(["token", "client", "media_data"]), st.binary(max_size=20), st.booleans()), max_size=6
)


@given(FIELDS, st.booleans())
def test_also_in_multipart_forms_and_files(fields: list[tuple[str, bytes, bool]], preamble: bool) -> None:
    head = 'Content-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = b"before\r\n" if preamble else b""
    for name, content, is_file in fields:
        body += b"--XyZ\r\n" + head.format(name, '; filename="f"' if is_file else "").encode() + content + b"\r\n"
    body += b"--XyZ--\r\n"
    kind = "multipart/form-data; boundary=XyZ"
    kept = b"".join(body[start:end] for start, end in credentials.spans_without_token(kind, body))
    wanted = [(name, content) for name, content, _ in fields if name != "token"]
    left, whole = ([(name, value.read()) for name, value in values_of("", kind, one)] for one in (kept, body))
    assert left == [pair for pair in whole if pair[0] != "token"]
    if not any(b"--XyZ" in content for _, content, _ in fields):
        assert left == wanted
