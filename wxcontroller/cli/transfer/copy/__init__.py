"""A copy of an account: read by a unit of its own, packed, sealed, and unpacked again.

``pack`` is the archive (start there), ``seal`` its encryption with a ``passphrase``. ``exportunit`` starts the unit
that reads an account's files, ``accountreader`` is the unit's program, and ``receivedfiles`` checks what it sends.
``directory`` and ``changes`` measure the files before, without opening them; ``quiescing`` stops an account
meanwhile. An import prepares everything in ``staging``, which the next import cleans up after a killed one.
``unitfiles`` has an administrator's additions to the unit, ``preconditions`` the checks before a transfer.
"""
