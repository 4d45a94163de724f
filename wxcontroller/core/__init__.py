"""What several programs have in common: names, paths, settings, states, and the files that hold them.

It imports no other package, talks to nobody on its own and starts no unit. What it has of network, systemd and
WeChat are tools (``relay``, ``resolver``, ``tls``, ``notify``, ``aes``) and the types that all routes share
(``model``). Tables are the only source of what they list: ``options`` and ``limits`` of an account, ``settings`` of
the controller, ``access`` for the scope that a call needs. ``files`` has the order of write, sync and rename, for
all that is stored for good. Start with ``names`` and ``paths``, then ``account`` with ``accountfiles`` (reads the
registry) and ``materialise`` (writes it), and ``states``.
"""
