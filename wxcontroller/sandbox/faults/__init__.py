"""Scripted faults, and what they do to a request.

``faults`` has them as a script writes them (start there), ``faulteffects`` their effects before and after a request
is handled, ``attributes`` the JSON of their values.
"""
