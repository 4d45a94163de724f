"""Verbs about one account: its life, login and options.

``lifecycle`` has add, start, stop, restart and logout: start there. ``show`` has list and status. ``logs`` reads the
journal on this machine, ``remotelogs`` that of a controller elsewhere.
"""
