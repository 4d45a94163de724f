"""The registry: one environment file for each account, and what else this host knows of its accounts.

``account`` is an account as stored (start there); ``materialise`` is the only writer of these files (``rendering``
through the administrator's template, ``prepare`` at the start of a unit), ``accountfiles`` reads them. ``porttable``
has the ports in use, ``loginbook`` the WeChat users, ``leaving`` the mark of a move, ``notifytargets`` and
``webhooksecrets`` their files. ``check`` checks the whole configuration, for ``wxctl config`` and ``wxctl doctor``.
"""
