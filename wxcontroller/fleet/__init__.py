"""Several hosts: loaded only where the settings have the table [fleet]. See docs/howto/several-hosts.md.

Two layers. Without etcd, ``hosts`` knows the other hosts (``host``) by a greeting and a stream of their accounts;
``connection`` and ``hop`` carry calls that are forwarded, for a caller who is named in them; ``standby`` tells which
sealed copies of accounts are where. With etcd (``etcd`` is the client), ``keeper``, a process of its own, holds this
host's lease; ``owners`` records which host may run which account, ``placement`` and ``takeoverplan`` say which host
takes a new one, or that of a lost host. Start with ``keeper``, whose docstring has the times on which all safety
rests, then ``owners``.

Nothing here starts or stops a unit: ``controller.hosts`` and its siblings (``hostowners``, ``hosttakeovers`` …) join
the fleet with this host's accounts. What an account's own process checks is ``client.permit``.
"""
