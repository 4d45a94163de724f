"""The people behind the servers: an account's phone, friends and groups.

``phone`` is one account as on its phone: start there. ``world`` has its people and groups, made from a seed
(``seednames``). ``logins`` is the life of a login code, ``websession`` a web login, ``ilinkbots`` the state of the
iLink route.
"""
