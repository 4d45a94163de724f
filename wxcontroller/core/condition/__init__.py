"""The one assessment of an account: its condition, its problems, and their remedies.

``assess`` is a pure function of an account's facts: start there. Everything that shows an account (dashboard, wxctl,
doctor, alerts, exit codes, metrics) displays its result and decides nothing itself. A check (``lifecyclechecks``,
``deliverychecks``, ``hostchecks``) detects one problem and returns an ``Issue`` (``facts``) while it lasts; issues
end when the check finds nothing and need no dismissal. ``verdict`` is the outcome of a send.
"""
