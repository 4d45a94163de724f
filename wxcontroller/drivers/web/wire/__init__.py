"""Requests on the wire: hosts, calls with queries, headers and bodies, cookies, and timeouts.

Nothing here reads a response. ``calls`` has one method for each request (start there), ``outgoing`` the fields of a
message to send, ``hosts`` decides which hosts belong to WeChat, ``cookies`` stores the servers' cookies, ``timing``
has all pauses and timeouts.
"""
