"""WeChat's texts: HTML fragments with line breaks, entities and emoji spans, made plain (weixin-web-protocol 8)."""

import re

from wxcontroller.drivers.web.decode.emoji import character_of, name_of

_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
# A known defect of the server drops the last ">" (8.3).
_EMOJI = re.compile(r'<span class="emoji emoji([0-9a-f]{1,10})"></span>?', re.IGNORECASE)
_NUMBERED = re.compile(r"&(?:amp|#([0-9]{1,7}|[xX][0-9a-fA-F]{1,6}));")
_NAMED = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&apos;": "'", "&nbsp;": "\u00a0"}
_PREFIX = re.compile(r"(@[A-Za-z0-9]+|[A-Za-z0-9_-]+):<br ?/>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_SPACE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MENTION = re.compile("(@[^@\u2005\n]{1,100})\u2005")
_GROUP = re.compile(r"@@|.*@chatroom\Z", re.DOTALL)


def plain(raw: str, emoji_names: bool) -> str:
    """Return the text as displayed: replace line breaks, then emoji, then one level of entities, in this order (8.2).

    ``emoji_names``: old emoji as ``[name]`` instead of Unicode.
    """
    raw = raw.replace("<br/>", "\n")  # nearly always this one
    if "<" in raw:
        raw = plain_emoji(_BREAK.sub("\n", raw), emoji_names)
    return unescape(raw)


def plain_emoji(raw: str, emoji_names: bool, escape: bool = False) -> str:
    """Return a raw text with its emoji spans replaced; ``escape``: the result is unescaped and then read as XML."""

    def written(found: re.Match[str]) -> str:
        emoji = (name_of if emoji_names else character_of)(found[1])
        return for_xml(emoji) if escape else emoji

    return _EMOJI.sub(written, raw)


def for_xml(content: str) -> str:
    return "".join(f"&amp;#{ord(character)};" if character in "&<>\"'" else character for character in content)


def plain_name(raw: str, emoji_names: bool) -> str:
    """Return a name as ``plain`` does, without what would act on a terminal instead of being read."""
    return _CONTROL.sub("", plain(raw, emoji_names))


def plain_signature(raw: str, emoji_names: bool) -> str:
    """Clean a person's signature likewise, but keep tabs and line breaks."""
    return _CONTROL_BUT_SPACE.sub("", plain(raw, emoji_names))


def plain_mentions(raw: str) -> str:
    """Return a group's text with the phone's narrow space after ``@NAME`` as an ordinary one (8.2)."""
    return _MENTION.sub(r"\1 ", raw) if "\u2005" in raw else raw


def unescape(raw: str) -> str:
    """Undo one layer of HTML entities, as in a single pass: ``&lt;`` as typed by a user stays that.

    The results of the first replacements are part of no entity, so they can come first. Long texts contain many of
    them.
    """
    if "&" not in raw:
        return raw
    for entity, character in _NAMED.items():
        raw = raw.replace(entity, character)
    return _NUMBERED.sub(_entity, raw) if "&#" in raw else raw.replace("&amp;", "&")


def _entity(found: re.Match[str]) -> str:
    number = found[1]
    if number is None:
        return "&"
    point = int("0" + number, 0) if number[0] in "xX" else int(number)
    if point > 0x10FFFF or 0xD800 <= point < 0xE000 or (point < 32 and point not in (9, 10, 13)):
        return found[0]
    return chr(point)


def is_group(user_name: str) -> bool:
    """Return whether a UserName is a group's (6.1)."""
    return _GROUP.match(user_name) is not None


def split_sender(raw: str) -> tuple[str, str]:
    """Split the raw Content of a received group message into its sender's id and the rest (7.2).

    Without a prefix the id is "". The prefix is cut once: the text may contain the same pattern.
    """
    match = _PREFIX.match(raw)
    return (match[1], raw[match.end() :]) if match else ("", raw)
