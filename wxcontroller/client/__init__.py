"""The process of one account: wxclient@NAME.service.

``process`` reads the configuration (``config``); ``service`` connects, starts and stops the parts: start there.
``login`` has the login state, ``incoming`` turns messages into events, ``store`` has all durable data except the
login, ``sends`` the outgoing messages, ``deliveries`` the webhook, ``ilink`` and ``v1`` the APIs of these names.
``openwxapi`` serves the calls of /openwx (``calls``) and ``v1api`` those of /v1, at the sockets of ``port``, behind
``portguard``. ``publishing`` writes the status that the controller reads, ``drain`` empties the queue at a stop.

Nothing here depends on WeChat's protocols (``drivers``) or on the controller: only the driver protocol and HTTP
connect them. Modules that few accounts need are imported where they are used, because their memory is multiplied by
hundreds of accounts.
"""
