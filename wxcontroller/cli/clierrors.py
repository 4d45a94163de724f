"""Errors of the command line alone. The exit codes are in wxctl(1)."""

from collections.abc import Iterator
from contextlib import contextmanager

from wxcontroller.core.errors import BadUsage as BadUsage
from wxcontroller.core.errors import ControllerUnreachable, WxError, reason_of
from wxcontroller.core.text.templates import Text, Value


class NeedsHuman(WxError, exit_code=6):
    """The account has stopped trying: it has to be checked and started again."""


class ScanNeeded(WxError, exit_code=10):
    """The account is started and shows a QR code, and the caller does not wait for its scan."""


class NotCancelled(WxError):
    """A send that is to be cancelled has ended, or WeChat may have it."""


class Declined(WxError, exit_code=130):
    """A question was answered with no."""


class NoLongerFollowed(WxError, exit_code=130):
    """A start was interrupted after its request. The account is not changed."""


class WrongUrl(ControllerUnreachable):
    """The controller's URL is answered by another service, or with another protocol than the URL names."""


class MachineUnreachable(ControllerUnreachable):
    """Nothing accepts or refuses a connection at the controller's address: its machine may be off."""


class NoResponse(WxError):
    """A request was sent but not answered: it may have taken effect."""

    def __init__(
        self, message: str | Text, remedy: str | Text = "", /, *, exit_code: int = 1, **values: Value
    ) -> None:
        super().__init__(message, remedy, **values)
        self.exit_code = exit_code


@contextmanager
def file_problems(
    message: str, remedy: str | Text, /, *, kind: type[WxError] = BadUsage, **values: Value
) -> Iterator[None]:
    """Raise an OSError of the block, or text that is not UTF-8, as a ``kind``. The message names the ``reason``."""
    try:
        yield
    except WxError:  # some are also OSErrors
        raise
    except (OSError, UnicodeDecodeError) as problem:
        raise kind(message, remedy, **values, reason=reason_of(problem)) from None
