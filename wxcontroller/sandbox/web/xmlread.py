"""Reading the little XML that clients send."""

from xml.parsers import expat

MAX_CHARACTERS = 65536  # characters


class BadXml(ValueError):
    """The text is not XML, or too large."""


class Element:
    """All elements of a document by their path from the root: ``text("appattach/attachid")``."""

    def __init__(self, source: str) -> None:
        """Read ``source``. Raises BadXml; document types are refused too."""
        self.root = ""
        self._texts: dict[str, str] = {}
        self._attributes: dict[str, dict[str, str]] = {}
        self._path: list[str] = []
        if len(source) > MAX_CHARACTERS:
            raise BadXml("it is too long")
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(source.strip().encode("utf-8", "replace"), True)
        except expat.ExpatError as error:
            raise BadXml(str(error)) from None

    def text(self, path: str) -> str:
        """Return the text of an element, "" when it is not there."""
        return self._texts.get(path, "")

    def attribute(self, path: str, name: str) -> str:
        """Return an attribute, "" when it is not there."""
        return self._attributes.get(path, {}).get(name, "")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.root:
            self._path.append(name)
        self.root = self.root or name
        self._attributes.setdefault("/".join(self._path), attributes)

    def _end(self, _name: str) -> None:
        if self._path:
            self._path.pop()

    def _data(self, data: str) -> None:
        path = "/".join(self._path)
        self._texts[path] = self._texts.get(path, "") + data

    def _doctype(self, *_: object) -> None:
        raise BadXml("it has a document type")
