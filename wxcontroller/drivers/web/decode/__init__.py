"""Responses as typed values. Any bytes are accepted; the result is a value or a WeChatError, never anything else.

``answers`` reads the answer of each call, ``listing`` the long ones entry by entry, ``failures`` the codes of a
refusal. ``contacts``, ``messages`` and ``contents`` turn WeChat's objects into ours; ``text``, ``emoji`` and
``markup`` make plain text of what people wrote. All of it is pure functions of bytes, without state or I/O.
"""
