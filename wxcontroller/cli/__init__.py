"""wxctl, the command line. It uses the controller's API like any other client.

``__main__`` has the table of commands: start there. Every call of wxctl imports the modules of all commands, so they
are small, and each loads expensive parts (rich, the archives of ``transfer``, the checks of ``doctor``) when it
needs them. ``verbs`` declares commands, ``context`` has their common options, ``api`` the controller's calls as
methods, and ``connection`` the HTTP below. ``work`` applies an action to one account or to many. ``local`` and
``systemd`` act on this machine when the controller does not respond (start, stop, status, logs). Texts are in
English in the code; ``language`` translates them.

Accounts, units and settings are not changed here, except by root's commands (``tokens``, ``transfer``).
"""
