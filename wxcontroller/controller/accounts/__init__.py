"""The accounts of this host: on disk (``registry``), in systemd (``units``), and as callers see them (``view``).

``actions`` stores the desired state, has systemd apply it (``unitstarts``) and checks the result: start there.
``units`` is the only module that uses systemd. ``statefiles`` reads the clients' files without trusting them,
``accountviews`` combines files and units, ``viewcache`` rebuilds views on changes, ``accountlists`` answers about all
accounts. ``journallines``, ``importsocket`` and ``loginlinks`` serve journals, imports and login links.
"""
