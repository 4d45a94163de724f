"""What comes from WeChat on the iLink route, the messages of peers in it, and what an account keeps of it."""

import io
import json
from collections.abc import Callable

from tests.fuzz.target import LONG, NotJson, Target, fit, joined, parts, texts
from tests.fuzz.targets.wechat import report
from tests.unit.drivers.kit import Store
from wxcontroller.client.ilink import serving
from wxcontroller.client.ilink.sealing import Seals
from wxcontroller.client.sends.window import Windows
from wxcontroller.core.aes import Decryptor, encrypted, read_key
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import ReplyWindow, Restored, Uploaded
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.decode import MediaKey
from wxcontroller.drivers.ilink.media import item_of
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.wire import ILinkHosts, read_answer

_SEALS = Seals(bytes(32))
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
_POLL: JsonObject = {"get_updates_buf": "c", "longpolling_timeout_ms": 35000}
_SEEDS = tuple(json.dumps({**_POLL, "msgs": [{**_MESSAGE, "item_list": [item]}]}).encode() for item in _ITEMS)
_JSON = (b'"ret":', b'"errcode":-14', b'"item_list":', b'"ref_msg":', b'"message_id":', b"[]", b"{}", b"null")


def _body(data: bytes) -> JsonObject:
    """Read an answer as ``wire`` does."""
    try:
        return read_answer(data)
    except ValueError:
        raise NotJson from None


def _updates(data: bytes) -> None:
    answer = _body(data)
    decode.verdict("getupdates", answer)
    found = decode.updates(answer)
    fit([found.cursor, found.hint])
    # As it is kept on disk until it is reported.
    batch = ILinkMemory(Store())
    batch.cursor, batch.batch = found.cursor, found.batch
    again = ILinkMemory(Store())
    again.resume(Restored(batch.checkpoint().state or b""))
    assert list(again.batch) == list(found.batch)
    for message in decode.messages(found.batch):
        fit([message.peer, message.context, *message.ids, message.fingerprint])
        assert message.parts
        again.hear(message.peer, message.context, 1)
        for part in message.parts:
            report(part)
            if part.media is not None:
                MediaKey.from_text(part.media.key)
            if part.quote is not None:
                fit(part.quote.select(part.quote.text))
    fit(json.loads(again.checkpoint().state or b"{}"))


def _refusals(*reads: Callable[[JsonObject], object]) -> Callable[[bytes], None]:
    def decoded(data: bytes) -> None:
        answer = _body(data)
        for read in reads:
            try:
                fit(read(answer))
            except WeChatError as problem:
                assert problem.message.encode()

    return decoded


def _hosts(data: bytes) -> None:
    server, url = texts(data, 2)
    for hosts in (ILinkHosts(""), ILinkHosts(f"http://127.0.0.1/{server[:5]}")):
        if (place := hosts.place(url)) is not None:
            assert hosts.allowed(place.host)
        if (content := hosts.content(url)) is not None:
            assert hosts.allowed(content[0])


def _call(data: bytes) -> None:
    body, sealed = parts(data, 2)
    try:
        fit(serving._read(body))
    except ValueError:
        raise NotJson from None
    found = _SEALS.open("c", sealed.decode("latin-1"))
    assert found is None or found == b"x", "sealed by somebody else"


def _content(data: bytes) -> None:
    hex_key, aes_key, cipher = parts(data, 3)
    try:
        key = read_key(aes_key.decode("latin-1"), hex_key.decode("latin-1"))
        decryptor = Decryptor(key or bytes(16))
        plain = decryptor.update(cipher[:7]) + decryptor.update(cipher[7:]) + decryptor.finish()
    except ValueError:
        return
    assert b"".join(encrypted(io.BytesIO(plain), key or bytes(16))) == cipher


def _kept(data: bytes) -> None:
    session, state = parts(data, 2)
    memory = ILinkMemory(Store(session))
    memory.load()
    memory.resume(Restored(state, ("1", "2")))
    decode.messages(memory.batch)
    memory.hear("a", "token", 1)
    kept = memory.checkpoint().state
    memory.resume(Restored(kept or b""))
    assert memory.checkpoint().state == kept


def _windows(data: bytes) -> None:
    windows = Windows(ReplyWindow(), 10, 5)
    windows.restore(data)
    for peer in (*list(windows.peers)[:50], "a"):
        for now in (0.0, 1.8e9):
            windows.hold(peer, False, now)
    windows.heard("a", 1.8e9, has_held=True)
    windows.throttle("a", 1.8e9)
    windows.next_change(1.8e9)
    fit(windows.gauge({"a": [1.0]}, 1.8e9))
    again = Windows(ReplyWindow(), 10, 5)
    again.restore(windows.as_bytes())
    assert again.as_bytes() == windows.as_bytes()


def _handle(data: bytes) -> None:
    """A media_id names content by what a driver once called it; the other route's is none here."""
    try:
        item_of(Uploaded(MessageKind.FILE, "7", "a.bin", 5, data.decode("utf-8", "replace")))
    except WeChatError:
        return


_WINDOWS = Windows(ReplyWindow(), 10, 5)
_WINDOWS.heard("o9cq8A@im.wechat", 1.79e9, has_held=True)
_WINDOWS.taken("o9cq8A@im.wechat", False, 1.79e9)
_WINDOWS.throttle("o9cq8A@im.wechat", 1.79e9)
_CODES = (
    b'{"ret":0,"qrcode":"a","qrcode_img_content":"https://liteapp.weixin.qq.com/q/a"}',
    b'{"status":"confirmed","bot_token":"t","ilink_bot_id":"b@im.bot","ilink_user_id":"o@im.wechat","baseurl":""}',
)
_SENT = (b'{"ret":0,"message_id":7426000000000000001}', b'{"ret":-2,"errmsg":"invalid arguments"}', b"{}", b"")
_PLACES = joined("", "https://ilinkai.wechat.com/base/"), joined("x", "https://a@b.weixin.qq.com:1/c2c?p=%2B#x")
_CIPHERS = (
    joined("00112233445566778899aabbccddeeff", "", bytes.fromhex("9d86c8612e085e93a235794a708af7a9")),
    joined("", "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=", bytes.fromhex("00657ea140655a44782747705d422fad")),
)
_SEND = b'{"msg": {"to_user_id": "w1@im.wechat", "context_token": "", "item_list": []}}'
_AGENTS = joined(_SEND, _SEALS.seal("c", b"x")), joined(rb'{"get_updates_buf": "\ud83d"}', "QUJD")
_SESSION = b'{"token":"t","bot_id":"b@im.bot","user_id":"o@im.wechat","base":""}'
_PEER: JsonObject = {"id": "o@im.wechat", "context": "t", "heard": 1, "alias": ""}
_STATE = {"bot": "b@im.bot", "cursor": "c", "batch": [_MESSAGE], "media_refused": 0, "peers": [_PEER]}
_HANDLES = (b'["p","00112233445566778899aabbccddeeff",5,16]',)
_STATUSES = tuple(f'"{status}"'.encode() for status in decode.QrStatus)
_READ_CODE = _refusals(decode.qrcode, decode.qr_answer)
_READ_SENT = _refusals(decode.sent_id, lambda answer: decode.verdict("getuploadurl", answer))
TARGETS = (
    Target("getupdates of iLink", _updates, _SEEDS, tokens=_JSON, refusals=(NotJson,), weight=8, longest=LONG),
    Target("login codes of iLink", _READ_CODE, _CODES, tokens=(*_STATUSES, *_JSON), refusals=(NotJson,)),
    Target("answers to sends of iLink", _READ_SENT, _SENT, tokens=_JSON, refusals=(NotJson,)),
    Target("hosts of iLink", _hosts, _PLACES),
    Target("content of iLink", _content, _CIPHERS),
    Target("calls of agents", _call, _AGENTS, refusals=(NotJson,), tokens=_JSON),
    Target("session and position of iLink", _kept, (joined(_SESSION, json.dumps(_STATE)),), tokens=_JSON),
    Target("reply windows", _windows, (_WINDOWS.as_bytes(),)),
    Target("handles of iLink content", _handle, _HANDLES),
)
