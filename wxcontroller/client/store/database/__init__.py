"""The account's one SQLite file: its writer, versions, lock and recovery.

``writer`` has the thread, group commits, full disks, and the replacement of a damaged file (``recovery``): start
there. ``schema`` lists the versions of the tables. ``lock`` keeps a second process out, ``mounts`` detects a disk
that is read-only for this process alone. ``privatefiles`` has the session and the content of sends, outside of the
database.
"""
