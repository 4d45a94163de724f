"""The process of one account: wxclient@NAME.service.

``process`` reads the configuration (``config``); ``service`` connects, starts and stops the parts: start there.
``session`` is the only writer of the login state and of its files (``publicfiles``); ``logins`` passes it the
driver's events. ``incoming`` and ``reporting`` turn incoming messages into reports, ``media_fetcher`` fetches
content. The subpackages are ``store`` (all durable data except the login), ``sends`` (outgoing messages),
``deliveries`` (the webhook), ``v1`` and ``ilink`` (APIs). ``api`` serves the calls of /openwx at the account's port,
behind ``guard``; the calls are in ``reading``, ``contacts``, ``avatar`` and ``sends.calls``. ``permit`` and
``settling`` are loaded only in a fleet with etcd.

Nothing here depends on WeChat's protocols (``drivers``) or on the controller: only the driver protocol and HTTP
connect them. Modules that few accounts need are imported where they are used, because their memory is multiplied by
hundreds of accounts.
"""
