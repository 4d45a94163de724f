"""Incoming messages and changes of people, until they are events with reports.

``reporting`` decides which reports go out, where, and in which order: start there. ``arrivals`` takes messages,
``mediafetcher`` fetches their content, and ``resuming`` continues after a restart. ``roster`` has the people of the
account, ``rosterchanges`` reports their changes, ``lastingids`` and ``messagepeople`` look people up; ``quotes``
finds quoted messages. Calls that wait for a message use ``checkevent`` and ``consult``.
"""
