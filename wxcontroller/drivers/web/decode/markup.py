"""XML inside messages: parsed safely, and by pattern where it is broken (weixin-web-protocol 8.2).

Only texts and attributes by place are kept, never a tree: a peer's text is bounded in depth, number and time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wxcontroller.drivers.web.decode.text import plain_emoji, unescape

if TYPE_CHECKING:
    from xml.sax.xmlreader import AttributesImpl

# Anyone can write to an account, and parsing costs memory and time.
XML_LENGTH = 1 << 18
XML_DEPTH = 50
XML_ELEMENTS = 2000
XML_NAME_LENGTH = 100
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
# Characters that XML 1.0 does not allow.
_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(r"\A<\?xml[^>]*\?>")
_ATTRIBUTE = r"""(?<![\w:.-]){}\s{{0,20}}=\s{{0,20}}(?:"([^"]*)"|'([^']*)')"""


@dataclass(slots=True)
class _Element:
    """One element: its place from the root, and its text, None while it is open."""

    place: str
    attributes: dict[str, str]
    text: str | None = None


@dataclass(slots=True)
class Markup:
    """A message's XML. ``path`` is a place such as ``appmsg/title``: the first element that ends like it counts."""

    source: str = field(default="", repr=False)
    whole: bool = False  # all of it could be parsed
    _elements: list[_Element] = field(default_factory=list, repr=False)  # in the order of their beginnings

    def text(self, path: str) -> str:
        """Return the text of an element, or ""."""
        found = next((e.text for e in self._ending(path) if e.text is not None), None)
        return (self._text_by_pattern(path) if found is None and not self.whole else found or "").strip()

    def attribute(self, path: str, *names: str) -> str:
        """Return the first non-empty one of an element's attributes ``names``, or ""."""
        found = next((e.attributes for e in self._ending(path) if e.attributes), None)
        if found is None:
            found = {} if self.whole else {name: self._attribute_by_pattern(path, name) for name in names}
        return next((value for name in names if (value := found.get(name, "").strip())), "")

    def each(self, path: str) -> "list[Markup]":
        """Return every parsed element whose path ends with ``path``, with its content."""
        elements: list[Markup] = []
        for start, element in enumerate(self._elements):
            if not path_matches(element.place, path):
                continue
            inside, end = element.place + "/", start + 1
            while end < len(self._elements) and self._elements[end].place.startswith(inside):
                end += 1
            elements.append(Markup(whole=True, _elements=self._elements[start:end]))
        return elements

    def _ending(self, path: str) -> Iterator[_Element]:
        return (element for element in self._elements if path_matches(element.place, path))

    def _text_by_pattern(self, path: str) -> str:
        name = path.rpartition("/")[2]
        tag = self._tag(name)
        if tag is None or self.source[tag[1] - 2] == "/":
            return ""
        end = self.source.find(f"</{name}", tag[1])
        content = (self.source[tag[1] : end] if end >= 0 else self.source[tag[1] :].partition("<")[0]).strip()
        if content.startswith("<![CDATA["):
            return content[9:].partition("]]>")[0]
        return unescape(content)

    def _attribute_by_pattern(self, path: str, name: str) -> str:
        tag = self._tag(path.rpartition("/")[2])
        if tag is None:
            return ""
        match = re.search(_ATTRIBUTE.format(re.escape(name)), self.source[slice(*tag)])
        return unescape(match[1] if match[1] is not None else match[2]) if match else ""

    def _tag(self, name: str) -> tuple[int, int] | None:
        """Return where the first start tag ``name`` begins and ends."""
        start = -1
        while (start := self.source.find(f"<{name}", start + 1)) >= 0:
            after = self.source[start + len(name) + 1 : start + len(name) + 2]
            if after and after in " \t\r\n/>":
                end = self.source.find(">", start)
                return start, end + 1 if end >= 0 else len(self.source)
        return None


def read(raw: str, emoji_names: bool) -> Markup:
    """Read a message's Content without its group prefix. Never fails; a text that is not XML has no places.

    ``emoji_names`` as in ``text.plain``. Emoji become text before anything else: as spans they would be elements.
    """
    if not raw:
        return Markup(whole=True)
    source = _BREAK.sub("\n", raw[:XML_LENGTH])
    source = unescape(plain_emoji(source, emoji_names, escape=True))
    source = _ILLEGAL.sub("", source[max(0, source.find("<")) :])
    source = _DECLARATION.sub("", source).lstrip()
    markup = Markup(source)
    if source.startswith("<"):
        parse(markup)
    return markup


def parse(found: Markup) -> None:
    # Imported here: most messages are texts, and most accounts never need it.
    import xml.sax

    import defusedxml
    import defusedxml.sax

    class Places(xml.sax.ContentHandler):
        def __init__(self) -> None:
            super().__init__()
            self.path: list[_Element] = []
            self.pieces: list[list[str]] = []

        def startElement(self, name: str, attrs: "AttributesImpl") -> None:  # noqa: N802
            deep, many = len(self.path) >= XML_DEPTH, len(found._elements) >= XML_ELEMENTS
            if deep or many or len(name) > XML_NAME_LENGTH:  # it is in the places of all that are inside it
                raise xml.sax.SAXException("more than a message needs")
            element = _Element(f"{self.path[-1].place}/{name}" if self.path else name, dict(attrs.items()))
            self.path.append(element)
            self.pieces.append([])
            found._elements.append(element)

        def endElement(self, _name: str) -> None:  # noqa: N802
            self.path.pop().text = "".join(self.pieces.pop())

        def characters(self, content: str) -> None:
            if self.pieces:
                self.pieces[-1].append(content)

    try:
        defusedxml.sax.parseString(found.source.encode("utf-8", "replace"), Places(), forbid_dtd=True)
    except (xml.sax.SAXException, defusedxml.DefusedXmlException, ValueError):
        return
    found.whole = True


def path_matches(place: str, path: str) -> bool:
    return place == path or place.endswith("/" + path)
