"""Requests on the wire: hosts, calls with their queries, headers and bodies, cookies, and time limits.

Nothing here reads an answer. ``calls`` has one method for each request, ``outgoing`` the fields of a message to
send, ``hosts`` decides who may be called WeChat, ``cookies`` keeps what servers set, ``timing`` has every pause and
timeout.
"""
