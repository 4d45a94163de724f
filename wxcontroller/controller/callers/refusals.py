"""Why the controller refuses a request, as exceptions. How they are answered is in ``errors``."""

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import Text, Value


class BadRequest(WxError, ValueError, code="bad-request", status=400, exit_code=2):
    """The request is invalid."""


class Refused(WxError):
    """A caller is not authenticated or lacks permission: ``code`` and HTTP ``status`` under /v1."""

    def __init__(
        self,
        code: str,
        message: str | Text,
        remedy: str | Text,
        /,
        *,
        status: int = 403,
        retry_after: int = 0,
        **values: Value,
    ) -> None:
        super().__init__(message, remedy, **values)
        self.code = code
        self.status = status
        self.retry_after = retry_after


def too_many_failures(message: str, remedy: str, seconds: int) -> Refused:
    """Return the refusal of a caller that has failed too often; ``remedy`` names the seconds to wait."""
    return Refused("too-many-failures", message, remedy, status=429, retry_after=seconds, seconds=seconds)


class TooManyReaders(WxError, code="too-many-readers", status=503):
    """The limit for readers of events is reached."""


class NotServed(WxError, code="not-served", status=409):
    """The API is disabled in the settings."""


class NoConsumer(WxError, code="no-such-consumer", status=404):
    """The account has no consumer of this name."""


class NoQrcode(WxError, code="no-qrcode", status=404):
    """No QR code can be scanned now."""


class AlreadyLoggedIn(WxError, code="logged-in", status=409):
    """The account is logged in and shows no QR code."""


class NoJournal(WxError, code="no-journal", status=503):
    """The journal cannot be read."""


class NotReceiving(WxError, code="not-receiving", status=409):
    """No account can be moved to this host."""


class ArrivalRefused(WxError, code="arrival-refused", status=409):
    """An account sent by another host was refused. The message gives the importer's reason."""


class NoAlerts(WxError, code="no-alerts", status=409):
    """No alert channel is configured."""


class TooManyTests(WxError, code="too-many-tests", status=429):
    """The limit of test alerts per hour is reached."""
