"""The calls of the account's /v1 that read.

A module for each subject. Start with ``status``, or with ``messagereads`` for a call that uses the log.
"""
