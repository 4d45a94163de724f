"""A group's verbs, each imported when it is used."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class VerbTable(MutableMapping[str, click.Command]):
    """The verbs of a group by name. ``places`` has the module below ``package`` of each."""

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        self._package, self._places = package, {**places}
        self._found: dict[str, click.Command] = {}
        self._changes: list[Callable[[click.Command], None]] = []

    def on_each(self, change: Callable[[click.Command], None]) -> None:
        """Have each verb changed before it is used."""
        for found in self._found.values():
            change(found)
        self._changes.append(change)

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._found:
            module = import_module(f"{self._package}.{self._places[name]}")
            verbs = (each for each in vars(module).values() if isinstance(each, click.Command))
            self[name] = next(each for each in verbs if each.name == name)
        return self._found[name]

    def __setitem__(self, name: str, verb: click.Command) -> None:
        for change in self._changes:
            change(verb)
        self._places.setdefault(name, "")
        self._found[name] = verb

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._found.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places
