"""iLink's answers and keys as values, by the tables of its protocol (ilink-bot-protocol 3, 4, 6, 7, 11 and 18)."""

import hashlib
import io

import pytest

from wxcontroller.core.aes import BadCiphertext, Decryptor, encrypted, outbound_form, read_key
from wxcontroller.core.errors import FailureHandling
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import MessageKind, Quote
from wxcontroller.drivers.base import Uploaded
from wxcontroller.drivers.ilink import decode, media
from wxcontroller.drivers.ilink.decode import Arrived, MediaKey, QrStatus
from wxcontroller.drivers.ilink.wire import Credentials, client_version, read_answer, uin_header

TEXT: JsonObject = {"type": 1, "msg_id": "m7", "text_item": {"text": "hi"}}
MESSAGE: JsonObject = {
    **{"from_user_id": "Ann@im.wechat", "to_user_id": "b@im.bot", "message_type": 1, "message_state": 2},
    **{"create_time_ms": 1_790_000_000_123, "context_token": "token", "item_list": [TEXT]},
}


def one(**changes: JsonValue) -> Arrived:
    [found] = decode.messages([{**MESSAGE, **changes}])
    return found


def item(**fields: JsonValue) -> Arrived:
    return one(message_id=5, item_list=[fields])


# -- messages (6, 7)


def test_only_messages_of_people_are_taken() -> None:
    others: list[JsonObject] = [{"message_type": 2}, {"message_type": 0}, {"from_user_id": ""}]
    assert decode.messages([{**MESSAGE, **changes} for changes in others]) == []


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"message_id": 6423456789012345679, "client_id": "c"}, "6423456789012345679"),
        ({"message_id": "6423456789012345679"}, "6423456789012345679"),
        ({"client_id": "c"}, "m7"),  # the first item's
        ({"client_id": "c", "item_list": [{**TEXT, "msg_id": ""}]}, "c"),
    ],
)
def test_a_message_is_known_by_its_first_id(ids: JsonObject, expected: str) -> None:
    found = one(**ids)
    assert (found.ids, found.parts[0].id) == ((expected,), expected)


def test_equal_messages_without_ids_are_two_but_their_repetition_is_known() -> None:
    bare: JsonObject = {**MESSAGE, "item_list": [{**TEXT, "msg_id": ""}]}
    first, second = decode.messages([bare, bare])
    assert first.ids != second.ids
    [again] = decode.messages([{**bare, "message_id": 9, "context_token": "newer"}])
    assert again.fingerprint == first.fingerprint
    [later] = decode.messages([{**bare, "create_time_ms": 1_790_000_000_124}])
    assert later.fingerprint != first.fingerprint


def test_envelope_and_items() -> None:
    voice: JsonObject = {"type": 3, "voice_item": {"media": {"full_url": "u"}, "playtime": 1500, "text": "said"}}
    found = one(message_id=5, item_list=[TEXT, voice, {"type": 8}])
    assert (found.peer, found.context) == ("Ann@im.wechat", "token")
    assert [(part.id, part.kind, part.text, part.raw_kind) for part in found.parts] == [
        ("5", MessageKind.TEXT, "hi", "1"),
        ("5.1", MessageKind.VOICE, "said", "3"),
        ("5.2", MessageKind.OTHER, "", "8"),
    ]
    assert {(part.chat, part.sender, part.is_group, part.time) for part in found.parts} == {
        ("Ann@im.wechat", "Ann@im.wechat", False, 1_790_000_000)
    }
    assert found.parts[1].media is not None
    assert found.parts[1].media.seconds == 1.5
    [part] = one(group_id="g@chatroom").parts  # never seen, but in the schema
    assert (part.chat, part.sender, part.is_group) == ("g@chatroom", "Ann@im.wechat", True)


@pytest.mark.parametrize(
    ("fields", "kind", "key", "name", "size"),
    [
        (
            {"image_item": {"media": {"full_url": "u", "aes_key": "a"}, "aeskey": "00ff", "mid_size": 32}},
            *(MessageKind.IMAGE, MediaKey("u", "", "a", "00ff"), "", 0),
        ),
        (
            {"file_item": {"media": {"encrypt_query_param": "p", "aes_key": "a"}, "file_name": "f.pdf", "len": "7"}},
            *(MessageKind.FILE, MediaKey("", "p", "a", ""), "f.pdf", 7),
        ),
        (
            {"video_item": {"media": {"full_url": "u", "aes_key": "a"}, "aeskey": "00ff"}},
            *(MessageKind.VIDEO, MediaKey("u", "", "a", ""), "", 0),  # a hex key is an image's only
        ),
    ],
    ids=["image", "file", "video"],
)
def test_media_have_their_place_and_key(
    fields: JsonObject, kind: MessageKind, key: MediaKey, name: str, size: int
) -> None:
    content = item(**fields).parts[0].media
    assert content is not None
    assert (content.kind, MediaKey.from_text(content.key), content.name, content.size) == (kind, key, name, size)


# -- quotes (7.3, 18)

WHOLE = "one two one three two four"
PART: JsonObject = {
    **{"start": "one", "startindex": 1, "end": "two", "endindex": 1},
    "quotemd5": "84a527f188b24170c72a24c3d2d1434f",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "one three two"),
        ({"endindex": 0}, "one three two"),  # counted from the start of the part
        ({"quotemd5": PART["quotemd5"].upper()}, "one three two"),  # type: ignore[union-attr]
        ({"quotemd5": hashlib.md5(b"other").hexdigest()}, WHOLE),
        ({"startindex": 2}, WHOLE),
        ({"start": ""}, WHOLE),
    ],
)
def test_the_selected_part_of_a_quote(changes: JsonObject, expected: str) -> None:
    assert decode.quoted_part(WHOLE, {**PART, **changes}) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"message_item": {"type": 1, "msg_id": "3", "text_item": {"text": "old"}}}, ("3", "old")),
        ({"title": "old"}, ("", "old")),
        ({"message_item": {"type": 0, "msg_id": "3"}}, ("3", "")),
        ({"svr_id": 6423456789012345679, "message_item": {"msg_id": "3"}}, ("6423456789012345679", "")),
        ({}, None),
    ],
)
def test_the_three_forms_of_a_quote(reference: JsonObject, expected: tuple[str, str] | None) -> None:
    quote = item(**TEXT, ref_msg=reference).parts[0].quote
    assert (quote and (quote.id, quote.text)) == expected
    assert quote is None or isinstance(quote, Quote)


# -- answers (4, 5.2)


@pytest.mark.parametrize(
    ("answer", "ret"),
    [({}, 0), ({"ret": 0}, 0), ({"ret": -2}, -2), ({"errcode": -14}, -14), ({"ret": 0, "errcode": -14}, -14)],
)
def test_a_failure_is_in_either_field(answer: JsonObject, ret: int) -> None:
    failure = decode.verdict("getupdates", answer)
    assert (failure.ret if failure else 0) == ret


@pytest.mark.parametrize(
    ("ret", "said", "handling"),
    [
        (-14, "session timeout", FailureHandling.WAIT_FOR_PEER),
        (-3, "invalid arguments", FailureHandling.NEVER),
        (-2, "Invalid arguments ", FailureHandling.NEVER),
        *((-2, said, FailureHandling.WAIT) for said in ("", "prepare failed", "rate limited", "unknown error")),
        (-1, "", FailureHandling.NEVER),
    ],
)
def test_the_same_code_of_a_send_is_read_with_its_words(ret: int, said: str, handling: FailureHandling) -> None:
    failure = decode.send_failure(decode.ILinkFailure("sendmessage", ret, said))
    assert (failure.ret, failure.handling) == (ret, handling)


def test_the_status_of_a_code() -> None:
    body: JsonObject = {"status": "confirmed", "bot_token": "t", "ilink_bot_id": "b", "ilink_user_id": "u"}
    assert decode.qr_answer(body).credentials == Credentials("t", "b", "u", "")
    assert decode.qr_answer({**body, "baseurl": "https://x"}).credentials == Credentials("t", "b", "u", "https://x")
    for missing in ("bot_token", "ilink_bot_id"):
        assert decode.qr_answer({**body, missing: ""}).credentials is None
    assert decode.qr_answer({**body, "status": "wait"}).credentials is None
    redirected = decode.qr_answer({"status": "scaned_but_redirect", "redirect_host": "sz.weixin.qq.com:443"})
    assert redirected.redirect_host == "sz.weixin.qq.com"
    unknown = decode.qr_answer({"status": "in_the_future"})
    assert (unknown.status, unknown.word) == (QrStatus.WAIT, "in_the_future")


def test_an_empty_body_is_an_empty_object() -> None:
    assert read_answer(b" \n") == {} == read_answer(b"{}")


# -- test vectors (18)

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")


def test_vectors_of_the_protocol() -> None:
    raw, of_hex = "ABEiM0RVZneImaq7zN3u/w==", "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY="
    assert outbound_form(KEY) == of_hex
    assert read_key(raw) == read_key(of_hex) == read_key("other", KEY.hex()) == KEY
    for content, ciphertext in (
        (b"", "00657ea140655a44782747705d422fad"),
        (b"hello", "9d86c8612e085e93a235794a708af7a9"),
        (b"0123456789abcdef", "aebdd39b144089d5e31cacd35b7a113a00657ea140655a44782747705d422fad"),
    ):
        assert b"".join(encrypted(io.BytesIO(content), KEY)).hex() == ciphertext
        decryptor = Decryptor(KEY)
        assert decryptor.update(bytes.fromhex(ciphertext)) + decryptor.finish() == content
        assert media.padded(len(content)) == len(ciphertext) // 2
    with pytest.raises(BadCiphertext):
        Decryptor(KEY).finish()
    uins = [uin_header(number) for number in (0, 305419896, 4294967295)]
    assert uins == ["MA==", "MzA1NDE5ODk2", "NDI5NDk2NzI5NQ=="]
    assert [client_version(release) for release in ("1.0.0", "1.0.11", "2.4.9")] == [65536, 65547, 132105]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (MessageKind.IMAGE, {"type": 2, "image_item": {"mid_size": 32}}),
        (MessageKind.VIDEO, {"type": 5, "video_item": {"video_size": 32}}),
        (MessageKind.FILE, {"type": 4, "file_item": {"file_name": "f", "len": "16"}}),
        (MessageKind.EMOTICON, {"type": 4, "file_item": {"file_name": "f", "len": "16"}}),
    ],
)
def test_items_of_uploaded_content(kind: MessageKind, expected: JsonObject) -> None:
    handle = media.Handle("param", KEY.hex(), 16, 32).as_text()
    content: JsonObject = {"encrypt_query_param": "param", "aes_key": outbound_form(KEY), "encrypt_type": 1}
    [member] = [name for name in expected if name != "type"]
    found = media.item_of(Uploaded(kind, "id", "f", 16, signature=handle))
    assert found == {**expected, member: {"media": content, **expected[member]}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("head", "mime"),
    [(b"\x02#!SILK_V3", "audio/silk"), (b"#!SILK_V3", "audio/silk"), (b"#!AMR\n", "audio/amr"), (b"RIFF", "")],
)
def test_voice_is_known_by_its_bytes(head: bytes, mime: str) -> None:
    assert media.voice_type(head) == mime
