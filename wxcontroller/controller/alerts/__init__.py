"""Alerts about accounts: problems, when an alert is due, and which channels get it.

``alertwatch`` looks at all accounts; start there. ``findings`` derives problems from ``core.condition``; ``crashes``
and ``disk`` add those that need several observations. ``schedule`` decides whether an alert is due; it is the only
state, on disk, so that a restart repeats no alert. ``alerttext`` composes the alert, a file in a spool.
``wxcontroller.alert`` delivers it.
"""
