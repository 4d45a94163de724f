"""Kinds of messages in a report: ``format``, ``content`` and their own fields (openwx-api 3.2)."""

from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import AppShare, Card, Message, MessageKind, MessageMedia
from wxcontroller.openwx.contract import media
from wxcontroller.openwx.contract.media import MediaFacts

_SHARED, _CARD, _UNKNOWN = "[应用分享]", "[名片]", "未知"
# WeChat's number of a link or article (weixin-web-protocol 7.4).
_LINK = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of a report that its format decides."""

    format: str
    content: str
    fields: JsonObject = field(default_factory=dict)


def shape(message: Message, facts: MediaFacts | None = None) -> Shape:
    """Return the shape of a message; ``facts`` describe its media."""
    kind = message.kind
    if kind.is_media:
        found = facts or unfetched(message)
        # Without a transcript the web route has the kind's name as text.
        transcript = message.text if kind is MessageKind.VOICE and message.text != media.LABELS[kind] else ""
        fields = {**media.fields(found, own=False), **({"media_text": transcript} if transcript else {})}
        return Shape("media", media.with_words(media.content_of(found), transcript), fields)
    match kind:
        case MessageKind.TEXT | MessageKind.NOTICE:
            return Shape("text", message.text)
        case MessageKind.APP:
            app = message.app or AppShare(message.text)
            return Shape("app", app_text(message.text, app), app_fields(app))
        case MessageKind.REVOKE:
            return Shape("revoke", wrapped("[撤回消息]", message.text), {"revoke_id": message.revoked})
        case MessageKind.CARD:
            card = message.card or Card("", message.text)
            return Shape("card", card_text(message.text, card), card_fields(card))
        case MessageKind.PAYMENT:
            return Shape("payment", wrapped("[转账]", message.text))
        case MessageKind.LOCATION:
            return Shape("location", message.text, place_fields(message))
        case _:
            return Shape("other", message.text, {"raw_kind": message.raw_kind})


def unfetched(message: Message, error: str = "") -> MediaFacts:
    """A message's media before, or without, fetching it."""
    # WeChat may have no content, but its type is known.
    found = message.media or MessageMedia(message.kind, message.id)
    name = media.safe_name(found.name)
    mime = media.mime_of(name, found.kind)
    return MediaFacts(
        found.kind,
        id=media.media_id(found.id, found.kind),
        name=name if found.kind is MessageKind.FILE else "",
        mime=mime,
        ext=media.extension(name, mime, found.kind),
        size=found.size,
        error=error,
    )


def wrapped(label: str, text: str) -> str:
    return text if text.startswith(label) else f"{label}({text})"


def app_text(text: str, app: AppShare) -> str:
    """The route's text if it has one, else the original's: four lines for a link, title and address for others."""
    if text.startswith(_SHARED):
        return text
    lines = {"标题": app.title, "描述": app.description, "应用": app.app_name, "链接": app.url}
    shown = lines if app.type == _LINK else ("标题", "链接")
    return "\n".join(f"{_SHARED}{name}：{lines[name] or _UNKNOWN}" for name in shown)


def app_fields(app: AppShare) -> JsonObject:
    return {
        "app_id": app.app_id,
        "app_title": app.title,
        "app_url": app.url,
        "app_name": app.app_name,
        "app_desc": app.description,
        "app_type": app.type or "",
        "app_articles": [
            {"title": article.title, "url": article.url, "digest": article.digest, "cover": article.cover}
            for article in app.articles
        ],
    }


def card_text(text: str, card: Card) -> str:
    if text.startswith(_CARD):
        return text
    where = f"{card.province or _UNKNOWN} {card.city or _UNKNOWN}"
    lines = (("昵称", card.name), ("性别", card.sex.value), ("位置", where), ("头像", card.avatar))
    return "\n".join(f"{_CARD}{name}：{value or _UNKNOWN}" for name, value in lines)


def card_fields(card: Card) -> JsonObject:
    return {
        "card_id": card.id,
        "card_name": card.name,
        "card_account": card.account,
        "card_province": card.province,
        "card_city": card.city,
        "card_sex": str(card.sex),
        "card_avatar": card.avatar,
    }


def place_fields(message: Message) -> JsonObject:
    place = message.place
    return {
        "location_latitude": place.latitude if place else "",
        "location_longitude": place.longitude if place else "",
        "location_label": place.label if place else "",
        "location_url": place.url if place else "",
    }
