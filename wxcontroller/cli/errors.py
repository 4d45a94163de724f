"""What only the command line has to complain about. The exit codes are in wxctl(1)."""

from wxcontroller.core.errors import WxError


def reason(problem: OSError | UnicodeDecodeError) -> str:
    """Return why a file can't be read, in words."""
    return (problem.strerror or str(problem)) if isinstance(problem, OSError) else "it is no UTF-8 text"


class BadUsage(WxError, ValueError):
    """Arguments that make no sense together, or a request that the controller finds malformed."""

    exit_code = 2


class NeedsHuman(WxError):
    """The account has given up on purpose: somebody has to look at it and start it again."""

    exit_code = 6


class Unanswered(WxError):
    """A request that may have been done: it was sent, and no answer came."""

    def __init__(self, message: str, remedy: str = "", exit_code: int = 1) -> None:
        super().__init__(message, remedy)
        self.exit_code = exit_code
