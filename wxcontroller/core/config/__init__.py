"""The tables of everything that can be set: settings, options of accounts, and limits.

``tables`` is the one kind of table: start there. ``settings`` are the controller's, with the tables [alerts]
(``alertsettings``) and [fleet] (``fleetsettings``); ``options`` and ``limits`` are the accounts'. ``envfile`` reads
and writes environment files. ``reporttargets`` checks where reports may go; ``routechoice`` and ``checklist``
describe the routes and the checks of doctor. The check of the whole configuration is in ``core.registry.check``.
"""
