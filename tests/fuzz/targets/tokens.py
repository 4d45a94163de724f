"""Tokens: where a request may hold one, and the files that say which are good."""

import re

from tests.fuzz.target import Target, fit, joined, parts
from wxcontroller.core import porttokens, tokens
from wxcontroller.core.access import Scope
from wxcontroller.core.errors import BadSettings
from wxcontroller.core.tokens import Token
from wxcontroller.openwx import credentials
from wxcontroller.openwx.parameters import BadParameter, query_of


def _request(data: bytes) -> None:
    target, kind, body = parts(data, 3)
    sent = target.decode("utf-8", "surrogateescape")
    content_type = kind[:8190].decode("utf-8", "surrogateescape")
    credentials.from_headers(content_type, sent)
    credentials.from_query(query_of(sent))
    left = credentials.without_token(sent)
    assert credentials.from_query(query_of(left)) is None, "a token is passed on"
    shown = credentials.from_form(content_type, body)
    spans = credentials.spans_without_token(content_type, body)
    rest = b"".join(body[start:end] for start, end in spans)
    assert len(rest) <= len(body)
    if shown is not None and b"%" not in body and "urlencoded" in content_type:
        assert credentials.from_form(content_type, rest) is None, "a token is passed on"


def _file(data: bytes) -> None:
    found = tokens.parse(data, "the file")
    assert tokens.parse(tokens.rendered(found), "again") == found
    for token in found.by_id.values():
        fit(token)
        assert re.fullmatch("[0-9a-f]{64}", token.sha256)
        assert token.instances is None or len(token.instances) <= len(token.accounts)
    found.find("wxc_x")
    porttokens.parse(porttokens.rendered(found))


def _port_file(data: bytes) -> None:
    found = porttokens.parse(data)
    found.find("alice", "wxc_x", 0.0)


_ONE = tokens.Tokens(
    {
        "0badcafe": Token("0badcafe", "bot", "a" * 64, Scope.READ, ("alice", "小店"), 1_700_000_000, None),
        "0badcaff": Token("0badcaff", "all", "b" * 64, Scope.ADMIN, (), 1_700_000_000, 1_900_000_000),
    }
)
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = b'--b\r\nContent-Disposition: form-data; name="token"\r\n\r\nwxc_1\r\n--b--\r\n'

TARGETS = (
    Target(
        "tokens in requests",
        _request,
        (
            joined("/openwx/x?client=a&token=wxc_1&b=c", _FORM, "id=@ann&token=wxc_1&content=x"),
            joined("/x?%74oken=wxc_1", "multipart/form-data; boundary=b", _MULTIPART),
            joined("Bearer wxc_1", "Bearer wxc_2", b""),
        ),
        refusals=(BadParameter,),
        tokens=(b"token=", b"%74oken=", b'name="token"', b"&", b"Bearer "),
    ),
    Target("the file of tokens", _file, (tokens.rendered(_ONE),)),
    Target("tokens as accounts know them", _port_file, (porttokens.rendered(_ONE),), refusals=(BadSettings,)),
)
