"""Notifications of other programs, sent to WeChat: /notify, and ntfy's paths at the root.

Programs speak ntfy's or Gotify's calls, or send a form, JSON or the webhook of a monitoring program (reading.py).
Each request becomes one ordinary send of the target's account (sending.py), or is counted with equal ones
(repeats.py). The answer has the form of the caller's dialect (answers.py) and the state of the send; its status is
200 unless the notification is refused, because ntfy's client and apprise take every other status for a failure.
Failures have the dialect's form too, whatever finds them: its clients show the text that they find there.

Everything is off until a target exists (core/notifytargets.py).
"""
