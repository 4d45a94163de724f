"""Alerts about accounts: the problem, when an alert is due, and which channels get it.

``watch`` looks at all accounts; start there. ``findings`` says what is wrong, from ``core.condition``; ``crashes``
and ``disk`` add what takes more than one look. ``schedule`` decides whether to tell it now, and is the only state, on
disk, so that a restart repeats no alert. ``compose`` writes the alert. Delivery is not here: an alert is a file in a
spool, which ``wxcontroller.alert`` takes.
"""
