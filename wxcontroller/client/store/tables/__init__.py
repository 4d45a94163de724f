"""The tables of an account's database, and the SQL on them: a module for each subject.

``eventtables`` has the event log: start there. ``history`` is the index of messages, ``drivertables`` the driver's
position, ids and identities, ``consumertables`` the agents', ``minutetables`` the last minutes and hours.
``generations`` recognizes a restored backup, ``lostsends`` keeps sends whose rows are damaged, ``values`` reads
values without failing. Sends are in ``client.store.sendstore``.
"""
