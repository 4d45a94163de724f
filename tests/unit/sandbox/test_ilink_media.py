"""iLink media that a phone does not show."""

import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from tests.unit.sandbox.agent import UIN, Agent, Json, ilink_sandbox
from wxcontroller.sandbox.ilink import crypt, phone
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
