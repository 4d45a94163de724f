"""WeChat servers of our own, for trying out and for tests: the web protocol here, the iLink API in ``ilink``.

``sandbox`` is the state: accounts (``account``), each with its people (``world``) and logins (``logins``,
``session``); start there. ``wire`` takes clients' requests, has ordered ``faults`` strike, and routes them to the
``weixin_`` modules; ``requestlog`` records departures from the protocol. What phones and people do is ordered through
``scripting``, by tests, by wxsandbox's commands (``scriptclient``, the ``commands`` modules) or by the phone
``page``. Of the other packages it imports only core, never a driver's idea of the protocol. It refuses only what
WeChat is known to refuse.
"""
