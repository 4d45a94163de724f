"""iLink media: the protocol's test vectors, and what a phone does not show."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.unit.sandbox.agent import UIN, Agent, Json, ilink_sandbox
from wxcontroller.sandbox.contents import ServerContents
from wxcontroller.sandbox.ilink import crypt, phone
from wxcontroller.sandbox.ilink.items import partial_text
from wxcontroller.sandbox.sandbox import Sandbox

_KEY = bytes.fromhex("00112233445566778899aabbccddeeff")


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Sandbox, Agent]]:
    """A bot that its user has written to."""
    async with ilink_sandbox() as (sandbox, agent):
        await agent.log_in(sandbox)
        phone.write_text(sandbox, sandbox.accounts[UIN], "hello")
        await agent.updates()
        yield sandbox, agent


def encrypted(plain: bytes, key: bytes = _KEY) -> bytes:
    pad, cipher = PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return cipher.update(pad.update(plain) + pad.finalize())


async def permit(agent: Agent, plain: bytes, media_type: int = 3, key: bytes = _KEY) -> Json:
    return await agent.call(
        "getuploadurl",
        filekey=secrets.token_hex(16),
        media_type=media_type,
        to_user_id=agent.user_id,
        rawsize=len(plain),
        rawfilemd5=hashlib.md5(plain).hexdigest(),
        filesize=len(encrypted(plain)),
        no_need_thumb=True,
        aeskey=key.hex(),
    )


def item(kind: str, number: int, parameter: str, key: str = crypt.hex_form(_KEY), **details: Json) -> Json:
    media = {"encrypt_query_param": parameter, "aes_key": key, "encrypt_type": 1}
    return {"type": number, f"{kind}_item": {"media": media, **details}}


@pytest.mark.parametrize(
    ("plain", "ciphertext"),
    [
        (b"", "00657ea140655a44782747705d422fad"),
        (b"hello", "9d86c8612e085e93a235794a708af7a9"),
        (b"0123456789abcdef", "aebdd39b144089d5e31cacd35b7a113a00657ea140655a44782747705d422fad"),
    ],
)
def test_vectors(tmp_path: Path, plain: bytes, ciphertext: str) -> None:
    contents = ServerContents(tmp_path)
    (tmp_path / "plain").write_bytes(plain)
    incoming = contents.begin()
    crypt.encrypt(tmp_path / "plain", _KEY, incoming)
    stored = contents.path(contents.finish(incoming))
    assert stored is not None and stored.read_bytes().hex() == ciphertext
    incoming = contents.begin()
    crypt.decrypt(stored, _KEY, incoming)
    again = contents.path(contents.finish(incoming))
    assert again is not None and again.read_bytes() == plain


def test_vectors_of_keys_and_quotes() -> None:
    assert crypt.raw_form(_KEY) == "ABEiM0RVZneImaq7zN3u/w=="
    assert crypt.hex_form(_KEY) == "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY="
    assert crypt.read_hex_form(crypt.hex_form(_KEY)) == _KEY
    assert crypt.read_hex_form(crypt.raw_form(_KEY)) is None
    indices = partial_text("b a b a b", "a b a b")
    assert (indices["startindex"], indices["endindex"]) == (0, 2)
    assert partial_text("one two one three two four", "one three two") == {
        "start": "one",
        "startindex": 1,
        "end": "two",
        "endindex": 1,
        "quotemd5": "84a527f188b24170c72a24c3d2d1434f",
    }


async def test_what_a_phone_does_not_show(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    plain = b"\x89PNG\r\n\x1a\n"
    _, parameter = await agent.put((await permit(agent, plain, 1))["upload_full_url"], encrypted(plain))
    wrong = [
        item("image", 2, parameter, crypt.raw_form(_KEY)),
        item("image", 2, parameter, crypt.hex_form(bytes(16))),
        item("image", 2, "unknown"),
        item("voice", 3, parameter),
    ]
    assert [(await agent.send(one))["ret"] for one in wrong] == [0, 0, 0, 0]
    assert [one.problem for one in sandbox.ilink.users[UIN].sent] == [
        "aes_key is not base64 of 32 hex digits",
        "the file does not decrypt with that key",
        "the CDN has no such file",
        "voice that a bot sends is not shown",
    ]
    assert (await agent.send(item("image", 2, parameter)))["ret"] == 0
    assert sandbox.ilink.users[UIN].sent[-1].problem == ""
