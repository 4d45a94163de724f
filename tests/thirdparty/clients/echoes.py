"""The answers of the agents in Python; echo_openclaw.mjs answers the same."""

from collections.abc import Iterator


def answers(text: str, quoted: str | None) -> Iterator[str]:
    """Yield the answers to a text: an echo with the quoted text, and two more messages if it is "three"."""
    yield f"echo: {text}" + (f" [{quoted}]" if quoted else "")
    if text == "three":
        yield from ("second", "third")


def voice_answer(milliseconds: int | None) -> str:
    """Return the answer to a voice message."""
    return f"heard {milliseconds} ms"
