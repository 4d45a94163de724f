"""Permitted targets of reports and heartbeats: the setting webhook_targets, a list of addresses.

An address covers everything below it: scheme, host and port are equal, and the path begins with its path, whole
segments counted. Addresses are read by the library that makes the requests, so that both mean the same host.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from wxcontroller.core.errors import BadOption
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.text.templates import N_, Text

SETTING = "webhook_targets"


@dataclass(frozen=True, slots=True)
class Target:
    """One allowed address. As text it is the URL."""

    url: URL

    @classmethod
    def parse(cls, word: str) -> "Target":
        """Raises ValueError with the reason, for a list in the settings."""
        try:
            url = url_of(word)
            good = url.scheme in ("http", "https") and bool(url.raw_host) and bool(url.port)
        except ValueError:
            good, url = False, URL()
        if not good or any(c.isspace() or not c.isprintable() for c in word):
            raise ValueError(
                Text(
                    'names {word}, a target is like "https://bots.example/" or "http://127.0.0.1:8080/"',
                    word=f"{word!r}",
                )
            )
        if url.user is not None or url.password is not None or "?" in word or "#" in word:
            raise ValueError(
                Text(
                    "contains {url}; only scheme, host, port and path are allowed",
                    url=f"{str(url.with_user(None))!r}",
                )
            )
        if is_winding(url):
            raise ValueError(Text("contains {word}, whose path contains . or ..", word=f"{word!r}"))
        return cls(url)

    def covers(self, url: URL) -> bool:
        mine, its = self.url, url
        if (mine.scheme, mine.raw_host, mine.port) != (its.scheme, its.raw_host, its.port):
            return False
        if mine.path == "/":
            return True
        # Programs disagree about .. in a path: for some it is a name, for others the parent directory.
        below = mine.path if mine.path.endswith("/") else f"{mine.path}/"
        return (its.path == mine.path or its.path.startswith(below)) and not is_winding(its)

    def __str__(self) -> str:
        return str(self.url)


@dataclass(frozen=True, slots=True)
class Targets:
    """The list. An empty one allows every address."""

    entries: tuple[Target, ...] = ()

    @classmethod
    def parse(cls, words: Iterable[str]) -> "Targets":
        """Raises ValueError with the reason."""
        return cls(tuple(Target.parse(word) for word in words))

    def allow(self, address: str | URL) -> bool:
        """Whether an address may be called. If there is a list, an invalid URL may not."""
        if not self.entries:
            return True
        if isinstance(address, str) and "\\" in address:
            return False  # read in two ways
        try:
            url = url_of(address) if isinstance(address, str) else address
            return any(target.covers(url) for target in self.entries)
        except ValueError:
            return False

    def check(self, account: str, option: str, address: str) -> None:
        """Raise BadOption with the remedy for an address that is not on the list. An empty one is allowed."""
        if address and not self.allow(address):
            raise BadOption(
                N_("account {account}: {option} is not among {setting}"),
                N_(
                    "use an address of that list, or have it added to {setting} in the settings "
                    "(wxcontroller.toml(5))"
                ),
                account=account,
                option=option,
                setting=SETTING,
            )

    def __str__(self) -> str:
        return " ".join(map(str, self.entries))


def is_winding(url: URL) -> bool:
    segments = unquote(url.raw_path).replace("\\", "/").split("/")
    return "." in segments or ".." in segments
