"""Files: replaced as a whole, values derived from them, and directories that are watched.

``atomic`` has the sequence of write, sync and rename for durable files: start there. ``filecache`` recomputes values
when a file changes, ``directorywatch`` watches directories, ``receivedmedia`` names received files.
"""
