"""Forms of the account's /v1: messages, sends, failures and pages, as several calls answer them.

``v1answers`` has answers and failures (start there), ``conversations`` messages and sends, ``v1outcomes`` verdicts on
sends, ``deliveryprogress`` the delivery of a report. ``finding`` finds messages by id, ``selecting`` reads which
entries a request means, ``fitting`` limits pages.
"""
