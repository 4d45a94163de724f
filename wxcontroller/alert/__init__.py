"""Delivering alerts: wxcontroller-alert@.service, one instance for each way of telling somebody.

systemd starts an instance when the controller has left a file in its spool (``core.alertspool``). ``deliver`` takes
the files in order, retries, and gives up after a day; start there. ``webhook``, ``mail`` and ``command`` are the
ways; the last two run a program (``program``). Recipients and programs come from the settings, never
from the file: a controller that was taken over can only forge alerts.
"""
