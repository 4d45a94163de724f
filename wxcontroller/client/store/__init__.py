"""The account's database: one SQLite file, one writer thread. Everything durable but the login lives here.

``writer`` owns the file: its thread, group commits, full disks, and the replacement of a damaged file (``recovery``).
``schema`` lists the versions of the tables. All SQL on them is in one module for each subject: ``events`` (with
``expiry``), ``sends`` (with ``sendrows``), ``state`` (the driver's position, ids and identities), ``history`` (the
index of messages), ``media``, ``minutes`` and ``consumers``. ``eventlog`` is the interface that the rest of the
client uses; ``driverstate`` and ``files`` are the driver's. ``retention`` decides when to delete what.

Facts that belong together are committed together, such as a send's end and its report. Rows hold paths of content,
never content. Start with ``writer``, then ``eventlog``.
"""
