"""A process and its memory, journal, watchdog and threads, in relation to systemd and to the kernel.

``notify``, ``watchdog`` and ``journal`` are for systemd: start there. ``footprint``, ``deferred`` and ``leanclasses``
save memory, which is multiplied by hundreds of accounts. ``ownthread`` runs calls that may hang, ``dumps`` protects
the memory from other processes, ``summaries`` limits log lines, ``faultpoints`` are where tests end the process.
"""
