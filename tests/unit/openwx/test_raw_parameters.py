"""Values that are no text, as media_data comes."""

from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.openwx.parameters import BadParameter, form_pairs, text_of, values_of

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b0"


def raw_pairs(*request: object) -> list[tuple[str, bytes]]:
    return [(name, value.read()) for name, value in values_of(*request)]  # type: ignore[arg-type]


@given(st.binary(max_size=300))
def test_content_comes_through_as_it_is(content: bytes) -> None:
    encoded = f"id=1&media_data={quote_from_bytes(content)}"
    assert raw_pairs(encoded) == [("id", b"1"), ("media_data", content)]
    assert raw_pairs("", FORM, encoded.encode()) == [("id", b"1"), ("media_data", content)]
    head = b'--b0\r\nContent-Disposition: form-data; name="media_data"; filename="../x"\r\n\r\n'
    if b"\r\n--b0" not in content:
        assert raw_pairs("a=b", MULTIPART, head + content + b"\r\n--b0--\r\n") == [
            ("a", b"b"),
            ("media_data", content),
        ]


def test_uploaded_files_are_no_parameters_elsewhere() -> None:
    body = b'--b0\r\nContent-Disposition: form-data; name="x"; filename="f"\r\n\r\n1\r\n--b0--\r\n'
    assert form_pairs(MULTIPART, body) == []
    with pytest.raises(BadParameter, match="UTF-8"):
        text_of(*values_of("content=%FF")[0])


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
