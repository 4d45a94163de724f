"""What the agents written in Python answer, in one place; echo_openclaw.mjs answers the same."""

from collections.abc import Iterator


def answers(text: str, quoted: str | None) -> Iterator[str]:
    """Give the answers to a text: an echo with what it quotes, and two more messages to who wants three."""
    yield f"echo: {text}" + (f" [{quoted}]" if quoted else "")
    if text == "three":
        yield from ("second", "third")


def heard(milliseconds: int | None) -> str:
    """Return the answer to a voice message."""
    return f"heard {milliseconds} ms"
