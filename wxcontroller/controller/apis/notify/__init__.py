"""Notifications from other programs, sent to WeChat: /notify, and ntfy's paths at the root.

Programs use the calls of ntfy or Gotify, or send a form, JSON or the webhook of a monitoring program (``dialects``,
``webhookbodies``). Each request becomes one ordinary send of the target's account (``passing``), or is counted with
identical ones (``repeats``). The response has the format of the caller's dialect (``dialectanswers``) and the state
of the send. Its status is 200 unless the notification is refused, because ntfy's client and apprise treat any other
status as a failure. Errors have the dialect's format, too, because clients display their text. Start with
``notifyroutes``.

Everything is off until a target exists (``core.registry.notifytargets``).
"""
