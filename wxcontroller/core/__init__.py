"""Code shared by all programs: names, paths, settings, states, and the files that contain them.

It imports no other package, makes no connections on its own and starts no unit. ``config`` has the tables of
everything that can be set, ``registry`` the accounts' files, ``access`` the scope that each call needs, ``condition``
the assessment of accounts, ``records`` the data between processes. ``files``, ``net``, ``process`` and ``text`` are
tools: durable files, HTTP, memory and systemd, texts in two languages. ``model`` has people, groups and messages as
all routes see them, ``aes`` the encryption of WeChat's CDN, ``alerts`` and ``alertspool`` the form of an alert. Start
with ``names`` and ``paths``, then ``core.registry.account`` with ``core.registry.accountfiles`` (reads the registry)
and ``core.registry.materialise`` (writes it), and ``states``.
"""
