"""The process behind one account: wxclient@NAME.service.

``process`` reads the configuration (``config``), and ``service`` wires, starts and stops the parts: start there.
``session`` is the only writer of the login state and of the files that show it (``publicfiles``); the driver's events
reach it through ``logins``. ``incoming`` and ``reporting`` turn what arrives into reports, ``media_fetcher`` fetches
content. The subpackages are ``store`` (all that is durable), ``sends`` (outgoing messages), ``deliveries`` (the
webhook), ``v1`` and ``ilink`` (APIs). ``api`` serves the calls of /openwx at the account's own port, behind
``guard``; they are in ``reading``, ``contacts``, ``avatar`` and ``sends.calls``. ``permit`` and ``settling`` are
loaded only in a fleet with etcd.

Nothing here knows WeChat's protocols (``drivers``) or the controller: the driver protocol and HTTP are all that lies
between them. Modules that few accounts need are imported where they are used: memory is multiplied by hundreds.
"""
