"""Alerts by mail, sent with this machine's sendmail."""

from email.message import EmailMessage
from email.utils import formatdate

from wxcontroller.alert.deliver import NotDelivered
from wxcontroller.alert.program import run
from wxcontroller.core.alerts import Alert
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.text.templates import Text

SENDMAIL = "/usr/sbin/sendmail"
_TEMPORARY = 75  # EX_TEMPFAIL


async def send(addresses: str, alert: Alert, seconds: float = DEFAULTS.alert_program_seconds) -> None:
    """Send an alert to addresses, separated by commas. Raises NotDelivered."""
    receivers = [part.strip() for part in addresses.split(",")]
    # -i: a line with a single dot does not end the mail.
    code = await run([SENDMAIL, "-i", *receivers], message(addresses, alert), seconds)
    if code:
        raise NotDelivered(f"{SENDMAIL} ended with {code}", final=code != _TEMPORARY)


def message(addresses: str, alert: Alert) -> bytes:
    """Return the mail: the text, and QR codes as pictures."""
    mail = EmailMessage()
    mail["To"] = addresses
    mail["Subject"] = alert.subject
    mail["Date"] = formatdate(alert.time, localtime=True)
    mail["Message-ID"] = f"<{alert.id}@wxcontroller.{_host(alert.host)}>"  # the same for each try
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Wx-Alert"] = alert.event.value
    signature = alert.line(Text("wxcontroller on {host}", host=alert.host))
    mail.set_content(f"{alert.text}\n\n-- \n{signature}\n")
    for item in alert.items:
        if item.qrcode is not None:
            subtype = item.qrcode.mime.partition("/")[2]
            name = f"qr-{item.instance}.{item.qrcode.suffix}"
            mail.add_attachment(item.qrcode.content, maintype="image", subtype=subtype, filename=name)
    return mail.as_bytes()


def _host(name: str) -> str:
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-.")) or "localhost"
