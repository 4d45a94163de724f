"""WeChat's servers for trying out and testing: the web protocol in ``web``, the iLink API in ``ilink``.

``sandbox`` is the state: accounts (``sandbox.world.phone``), each with its people, logins and sessions (``world``);
start there. ``sandbox.web.webwire`` accepts clients' requests, injects ``faults``, and routes requests to the modules
of ``web`` whose names begin with weixin; ``requestlog`` records violations of the protocol. Phones and people are
controlled through ``script``, by tests, by curl or by the phone ``page``. ``app`` is the application, ``serve`` runs
it. Content of messages is in ``media``.

It imports only ``core``, never the drivers, so that their errors are not repeated here. It refuses only requests that
WeChat is known to refuse.
"""
