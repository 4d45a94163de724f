"""Several hosts: loaded only if the settings have the table [fleet]. See docs/howto/several-hosts.md.

Two layers. Without etcd, ``hosts`` keeps track of the other hosts (``host``) by a greeting and a stream of their
accounts; ``connection`` and ``hop`` forward calls together with the name of their caller; ``standby`` tracks the
sealed copies of accounts. With etcd (``etcd`` is its client), ``keeper``, a process of its own, holds this host's
lease; ``recordcache`` follows the ``records`` of all hosts, and ``owners`` changes which host may run which account;
``placement`` and ``takeoverplan`` select the host for a new account and for those of a lost host. Start with
``keeper``, whose docstring has the times on which safety depends, then ``owners``, with the states of an account.

Nothing here starts or stops a unit: ``controller.hosts`` connects the fleet with this host's accounts. The checks in
an account's own process are in ``client.login.permit``.
"""
