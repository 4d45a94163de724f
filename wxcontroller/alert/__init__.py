"""The process that delivers alerts: wxcontroller-alert@CHANNEL.service.

systemd starts an instance when the controller has written a file to the channel's spool (``core.alertspool``).
``deliver`` sends the files in order, retries, and gives up after a day; start there. The channels are ``webhook``,
``mail`` and ``command``; the last two run a program (``program``).

Recipients and programs come from the settings, never from the file, so a compromised controller can only forge
alerts. Whether an alert is due is decided in ``controller.alerts``.
"""
