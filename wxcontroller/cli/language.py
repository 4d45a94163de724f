"""Texts of wxctl in the user's language, by gettext: LANGUAGE, LC_ALL, LC_MESSAGES and LANG select it.

The code has English templates with named values, which are looked up and filled in where they are shown. JSON is for
programs, and English.
"""

import gettext
import inspect
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from shutil import get_terminal_size

import click

from wxcontroller.cli.verbtable import VerbTable
from wxcontroller.core.text.catalog import DOMAIN, LOCALE, translate_by
from wxcontroller.core.text.templates import Text, Translate, Value

# Before a paragraph with fixed line breaks.
_VERBATIM = "\b\n"
_EXAMPLES = re.compile(r"(Examples?:)( wxctl .*)")
_NARROWEST = 20  # columns of a text: on a narrower terminal, the terminal breaks its lines
# A line may end at a Chinese character, but not before a comma or closing bracket, nor behind an opening one.
_OPENING, _CLOSING = "（“《", "，。；：、）”》！？…"
_WIDE = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"
_PIECE = re.compile(
    rf"[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)[{_CLOSING}]*|[{_OPENING}{_CLOSING}]+|\s+"
)


@cache
def translate() -> Translate:
    return translate_by(gettext.translation(DOMAIN, LOCALE, fallback=True))


def say(words: str | Text, plural: str = "", /, **values: Value) -> str:
    """Return a text, or a template with its values, in the reader's language."""
    text = words if isinstance(words, Text) else Text(words, plural, **values)
    return text.rendered(translate())


def tell(words: str | Text, plural: str = "", /, *, err: bool = False, **values: Value) -> None:
    """Write a text, or a template with its values, in the reader's language."""
    click.echo(say(words, plural, **values), err=err)


def padded(word: str, width: int) -> str:
    """Return a word in the reader's language, right-aligned to this many columns."""
    shown = say(word)
    return " " * max(0, width - columns(shown)) + shown


def left_aligned(word: str, width: int) -> str:
    """Return a word in the reader's language, left-aligned to this many columns."""
    shown = say(word)
    return shown + " " * max(0, width - columns(shown))


def speak(command: click.Command) -> None:
    """Translate a command and its subcommands if there is a catalog of the reader's language."""
    catalog = gettext.translation(DOMAIN, LOCALE, fallback=True)
    if isinstance(catalog, gettext.GNUTranslations):
        gettext.bindtextdomain(DOMAIN, str(LOCALE))
        gettext.textdomain(DOMAIN)  # also click's own texts
        translate_command(command, catalog.gettext)


def texts(command: click.Command) -> Iterator[str]:
    """Yield the translatable texts of a command and its subcommands."""
    for text in (command.help, command.short_help, command.epilog, *(option.help for option in options(command))):
        for paragraph in paragraphs(text):
            yield _key(paragraph)[1]
    for inner in _inner(command):
        yield from texts(inner)


def translate_command(command: click.Command, translate: Callable[[str], str]) -> None:
    def translated(text: str | None) -> str | None:
        keys = [_key(paragraph) for paragraph in paragraphs(text)]
        return "\n\n".join(before + translate(key) + after for before, key, after in keys) if text else text

    command.context_class = _Context
    command.help, command.epilog = translated(command.help), translated(command.epilog)
    # Otherwise click would shorten the help at the end of an English sentence.
    command.short_help = translated(command.short_help) or "".join((command.help or "").partition("。")[:2])
    for option in options(command):
        option.help = translated(option.help)
    if isinstance(command, click.Group) and isinstance(command.commands, VerbTable):
        command.commands.on_each(lambda inner: translate_command(inner, translate))
        return
    for inner in _inner(command):
        translate_command(inner, translate)


def options(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


def _inner(command: click.Command) -> list[click.Command]:
    return list(command.commands.values()) if isinstance(command, click.Group) else []


def paragraphs(text: str | None) -> list[str]:
    return inspect.cleandoc(text).split("\n\n") if text else []


def _key(paragraph: str) -> tuple[str, str, str]:
    """Return a paragraph's translatable part, between those equal in all languages: marks and examples."""
    if paragraph.startswith(_VERBATIM):
        return _VERBATIM, paragraph.removeprefix(_VERBATIM), ""
    words = " ".join(paragraph.split())
    examples = _EXAMPLES.fullmatch(words)
    return ("", examples[1], examples[2]) if examples else ("", words, "")


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a paragraph; one that begins with a backspace keeps its line breaks."""
    if text.startswith(_VERBATIM):
        return text.removeprefix(_VERBATIM).splitlines()
    lines = [""]
    for piece in _PIECE.findall(" ".join(text.split())):
        if columns(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def behind(head: str, words: str) -> str:
    """Return words behind a head. On a terminal they are wrapped and stay behind it; elsewhere they are one line."""
    if not sys.stdout.isatty():
        return head + words
    margin = columns(head)
    lines = wrapped(words, max(get_terminal_size().columns - margin, _NARROWEST))
    return head + ("\n" + " " * margin).join(lines)


class _Formatter(click.HelpFormatter):
    """Wrap as click does, but by terminal columns: a Chinese character takes two."""

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        blocks = [wrapped(part, self.width - self.current_indent) for part in text.split("\n\n")]
        self.write("\n\n".join("\n".join(indent + line for line in block) for block in blocks) + "\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        first = min(max(columns(term) for term, _ in rows), col_max) + col_spacing
        margin = " " * (self.current_indent + first)
        for term, text in rows:
            lines = wrapped(text, max(self.width - len(margin), 10))
            head = " " * self.current_indent + term
            if columns(term) > first - col_spacing:
                self.write(f"{head}\n")
                head = ""
            self.write(f"{head:{len(margin)}}{lines[0]}".rstrip() + "\n")
            self.write("".join(f"{margin}{line}\n" for line in lines[1:]))


class _Context(click.Context):
    formatter_class = _Formatter
