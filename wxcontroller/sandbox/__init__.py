"""WeChat's servers for trying out and testing: the web protocol here, the iLink API in ``ilink``.

``sandbox`` is the state: accounts (``account``), each with its people (``world``) and logins (``logins``,
``session``); start there. ``wire`` accepts clients' requests, injects ``faults``, and routes requests to the
``weixin_`` modules; ``requestlog`` records violations of the protocol. Phones and people are controlled through
``scripting``, by tests, by curl or by the phone ``page``.

It imports only ``core``, never the drivers, so that their errors are not repeated here. It refuses only requests
that WeChat is known to refuse.
"""
