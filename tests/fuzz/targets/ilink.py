"""What WeChat sends on the iLink route, and the messages of peers in it."""

import io
import json
from collections.abc import Callable

from tests.fuzz.target import NotJson, Target, check_encodable
from tests.fuzz.targets.wechat import check_report
from tests.unit.drivers.kit import Store
from wxcontroller.core.aes import Decryptor, encrypted, read_key
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import Restored, Uploaded
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.decode import MediaKey
from wxcontroller.drivers.ilink.media import item_of
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.wire import ILinkHosts, read_answer


def _body(data: bytes) -> JsonObject:
    try:
        return read_answer(data)
    except ValueError:
        raise NotJson from None


def _updates(data: bytes) -> None:
    answer = _body(data)
    decode.verdict("getupdates", answer)
    updates = decode.updates(answer)
    check_encodable([updates.cursor, updates.hint])
    # Messages are kept on disk until they are reported.
    memory, again = ILinkMemory(Store()), ILinkMemory(Store())
    memory.cursor, memory.batch = updates.cursor, updates.batch
    again.resume(Restored(memory.checkpoint().state or b""))
    assert list(again.batch) == list(updates.batch)
    for message in decode.messages(updates.batch):
        check_encodable([message.peer, message.context, *message.ids, message.fingerprint])
        assert message.parts
        again.hear(message.peer, message.context, 1)
        for part in message.parts:
            check_report(part)
            if part.media is not None:
                MediaKey.from_text(part.media.key)
            if part.quote is not None:
                check_encodable(part.quote.select(part.quote.text))
    check_encodable(json.loads(again.checkpoint().state or b"{}"))


def _answer(*reads: Callable[[JsonObject], object]) -> Callable[[bytes], None]:
    def decoded(data: bytes) -> None:
        answer = _body(data)
        for read in reads:
            check_encodable(read(answer))

    return decoded


def _hosts(server: str, url: str) -> None:
    """Tokens and content go to WeChat's hosts only."""
    for hosts in (ILinkHosts(""), ILinkHosts(f"http://127.0.0.1/{server[:5]}")):
        if place := hosts.place(url):
            assert hosts.allowed(place.host)
        if content := hosts.content(url):
            assert hosts.allowed(content[0])


def _content(hex_key: str, base64_key: str, cipher: bytes) -> None:
    key = read_key(base64_key, hex_key) or bytes(16)
    decryptor = Decryptor(key)
    plain = decryptor.update(cipher[:7]) + decryptor.update(cipher[7:]) + decryptor.finish()
    assert b"".join(encrypted(io.BytesIO(plain), key)) == cipher


def _handle(media_id: str) -> None:
    """A media_id of a caller may be one of the other route."""
    item_of(Uploaded(MessageKind.FILE, "7", "a.bin", 5, media_id))


_MEDIA: JsonObject = {"encrypt_query_param": "Ab+/=", "aes_key": "ABEiM0RVZneImaq7zN3u/w==", "encrypt_type": 1}
_PARTIAL: JsonObject = {"start": "one", "startindex": 1, "end": "two", "endindex": 1, "quotemd5": "84a5"}
_QUOTED: JsonObject = {"type": 1, "text_item": {"text": "one two"}, "msg_id": "6"}
_ITEMS: tuple[JsonObject, ...] = (
    {"type": 1, "text_item": {"text": "hello 😀"}, "msg_id": "7"},
    {"type": 2, "image_item": {"media": _MEDIA, "aeskey": "00112233445566778899aabbccddeeff", "mid_size": 32}},
    {"type": 3, "voice_item": {"media": _MEDIA, "encode_type": 4, "playtime": 1200, "text": "hi"}},
    {"type": 4, "file_item": {"media": {**_MEDIA, "full_url": "https://a.weixin.qq.com/c?p=%2B"}, "len": "5"}},
    {"type": 5, "video_item": {"media": _MEDIA, "play_length": 3}},
    {"type": 1, "text_item": {"text": "re"}, "ref_msg": {"svr_id": "7", "partial_text": _PARTIAL}},
    {"type": 1, "text_item": {"text": "re"}, "ref_msg": {"title": "t", "message_item": _QUOTED}},
    {"type": 8},
)
_MESSAGE: JsonObject = {
    **{"message_id": 7426000000000000001, "message_type": 1, "create_time_ms": 1790000000123, "group_id": ""},
    **{"from_user_id": "o9cq8A@im.wechat", "to_user_id": "b0f5860fdecb@im.bot", "context_token": "opaque"},
}
_UPDATES: tuple[JsonObject, ...] = tuple(
    {"get_updates_buf": "c", "longpolling_timeout_ms": 35000, "msgs": [{**_MESSAGE, "item_list": [item]}]}
    for item in _ITEMS
)
_HINTED = {"longpolling_timeout_ms": "9" * 400}
_CODES = (
    b'{"ret":0,"qrcode":"a","qrcode_img_content":"https://liteapp.weixin.qq.com/q/a"}',
    b'{"status":"confirmed","bot_token":"t","ilink_bot_id":"b@im.bot","ilink_user_id":"o@im.wechat","baseurl":""}',
)
_SENT = (b'{"ret":0,"message_id":7426000000000000001}', b'{"ret":-2,"errmsg":"invalid arguments"}', b"{}", b"")
_HOSTS = (("", "https://ilinkai.wechat.com/base/"), ("x", "https://a@b.weixin.qq.com:1/c2c?p=%2B#x"))
_CIPHERS = (
    ("00112233445566778899aabbccddeeff", "", bytes.fromhex("9d86c8612e085e93a235794a708af7a9")),
    ("", "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=", bytes.fromhex("00657ea140655a44782747705d422fad")),
)
_HANDLES = ('["p","00112233445566778899aabbccddeeff",5,16]', '["p","00",5,1e999]', "[" * 10_000)
_REFUSALS = (NotJson, WeChatError)
_UPLOAD = _answer(decode.sent_id, lambda answer: decode.verdict("getuploadurl", answer))
TARGETS = (
    Target("getupdates of iLink", _updates, (*_UPDATES, _HINTED), _REFUSALS),
    Target("login codes of iLink", _answer(decode.qrcode), _CODES, _REFUSALS),
    Target("scans of iLink", _answer(decode.qr_answer), _CODES, _REFUSALS),
    Target("answers to sends of iLink", _UPLOAD, _SENT, _REFUSALS),
    Target("hosts of iLink", _hosts, _HOSTS),
    Target("content of iLink", _content, _CIPHERS, (ValueError,)),
    Target("ids of iLink content", _handle, _HANDLES),
)
