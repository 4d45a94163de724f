"""The output of wxctl: languages, times, tables, and the displays of a start.

``language`` translates texts, ``localtime`` has times. ``statustext`` is the status of an account as text,
``startdisplay`` the progress of a start, ``terminal`` has tables. The last two import rich, which is slow: only verbs
that need them load them.
"""
