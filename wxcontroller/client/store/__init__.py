"""The account's database: one SQLite file, one writer thread. Everything durable but the login lives here.

``database`` owns the file, ``tables`` has the SQL of most subjects; ``sendstore`` (with ``sendrows``), ``mediaids``,
``expiry`` and ``runclock`` have their own. ``eventlog`` is the interface that the rest of the client uses;
``driverstate`` is the driver's. ``client.retention`` decides when to delete what. ``unsaved`` keeps messages that the
log could not take before the end of the process.

Facts that belong together are committed together, such as a send's end and its report. Rows hold paths of content,
never content. Start with ``client.store.database.writer``, then ``eventlog``.
"""
