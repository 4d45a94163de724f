"""The scripting API: a script acts as a phone, and injects faults. Start in ``scripting``.

``scripting_content``, ``scripting_messages`` and ``scripting_people`` are the web route's parts, ``scripting_ilink``
is iLink's. ``inputs`` reads a request and refuses invalid values.
"""
