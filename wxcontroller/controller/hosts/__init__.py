"""Other hosts of a fleet: their accounts, calls and events, and who owns which account. Loaded only with [fleet].

``otherhosts`` joins the controller with ``wxcontroller.fleet``: start there. ``hostcalls`` forwards calls,
``hostrows`` and ``hoststreams`` show accounts and events, ``hoststandbys`` tracks and sends bundles. With etcd:
``hostowners`` keeps accounts in step with their records, ``hostfiles`` are the files for it in /run, ``hoststarts``
starts accounts under a new lease, ``hosttakeovers`` takes over those of lost hosts.
"""
