"""The one assessment of an account: in which condition it is, what is wrong with it, and what to do.

``assess`` is a pure function of what is known of an account. Everything that shows an account (dashboard, wxctl,
doctor, alerts, exit codes, metrics) displays its result and decides nothing itself. A check knows one thing that can
be wrong and returns an ``Issue`` while it is; issues end when the check finds nothing, nobody has to dismiss them.
"""
