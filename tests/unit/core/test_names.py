"""Names and the ids made from them."""

import re

import pytest

from wxcontroller.core.errors import BadName
from wxcontroller.core.names import is_derived, parse_name

# What systemd 257 takes as %i in User=wxc-%i and StateDirectory=.
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,26}")


@pytest.mark.parametrize("name", ["alice", "My-Bot_1", "9lives", "a" * 27])
def test_plain_name_is_its_own_id(name: str) -> None:
    found = parse_name(name)
    assert (found.name, found.instance, found.unit) == (name, name, f"wxclient@{name}.service")


@pytest.mark.parametrize("name", ["小红", "shop.01", "two words", "-dash", "a" * 28, "हिन्दी", "x" * 64])
def test_other_allowed_name_gets_a_unique_and_stable_id(name: str) -> None:
    found = parse_name(name)
    assert (found, found.name) == (parse_name(name), name)
    assert is_derived(found.instance)
    assert _SAFE.fullmatch(found.instance)
    with pytest.raises(BadName, match="generated id"):
        parse_name(found.instance)


@pytest.mark.parametrize(
    "name", ["", "0", ".x", "..", "a/b", "a\\b", "a\nb", "a\0b", " a", "a ", "x" * 65, "a:b", "😄", "a\u202eb"]
)
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(BadName):
        parse_name(name)


def test_ids_never_change() -> None:
    # They name users and directories of running systems.
    assert parse_name("小店").instance == "x-5k65rcsgx6ncdtm"
    assert parse_name("Zoe\u0308").instance == parse_name("Zo\u00eb").instance
