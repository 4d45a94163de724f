"""wxctl, the command line. It uses the controller's API like any other client.

``program`` has the table of commands: start there. A run imports the module of its verb alone, and that module loads
expensive parts (rich, the archives of ``transfer``, the checks of ``doctor``) when it needs them. The verbs are in
``verbs``; ``verbhelp`` declares them, ``context`` has their common options, ``work`` applies an action to one account
or to many. ``cli.connection.api`` has the controller's calls as methods, ``cli.connection.systemd`` uses systemd and
the journal of this machine, also when the controller does not respond. ``output`` shows results: texts are in English
in the code, and ``cli.output.language`` translates them. ``clierrors`` and ``exits`` define failures.

Accounts, units and settings are not changed here, except by root's commands (``transfer``, ``cli.verbs.host.tokens``,
``cli.verbs.host.fleetsetup``).
"""
