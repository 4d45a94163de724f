"""The verbs of wxctl, each loaded when it is used.

``account`` has those about one account's life and options, ``traffic`` those about its messages, ``host`` those about
this host. The table of all verbs is in ``cli.program``; export, import, move and claim are in ``cli.transfer``,
doctor in ``cli.doctor``.
"""
