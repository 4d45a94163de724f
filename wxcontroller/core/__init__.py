"""Code shared by all programs: names, paths, settings, states, and the files that contain them.

It imports no other package, makes no connections on its own and starts no unit. For network, systemd and WeChat it
has only tools (``relay``, ``resolver``, ``tls``, ``notify``, ``aes``) and the types of all routes (``model``).
Tables are the only source of what they list: ``options`` and ``limits`` of accounts, ``settings`` of the controller,
``access`` for the scope that each call needs. ``files`` has the sequence of write, sync and rename for durable
files. Start with ``names`` and ``paths``, then ``account`` with ``accountfiles`` (reads the registry) and
``materialise`` (writes it), and ``states``.
"""
