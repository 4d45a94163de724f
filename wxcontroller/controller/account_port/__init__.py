"""The only way to an account's program: the connections, the controller's own requests, and events.

An account's process may be compromised, so every response is limited and checked, and can affect only that account.
``connecting`` makes all connections, and only to the account's own user: start there. ``backends`` keeps them and
reads the answers. ``ports`` sends the controller's own requests, with the port's secret, timeouts and errors
(``portfailures``). ``destination`` is the place to which requests are passed on. ``eventhub`` shares one stream of
events per account among all readers, ``longpolls`` limits the long polls of one token at one account.

Callers' requests take ``controller.forwarding``. A call of /v1 about the status is answered by
``controller.apis.v1.form.freshstatus``.
"""
