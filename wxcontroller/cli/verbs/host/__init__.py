"""Verbs about this host: settings, tokens, alerts, the fleet.

``fleet`` has the verbs about other hosts; ``fleetsetup`` writes the files of a fleet for init and join. ``tokens``
and ``configcheck`` need no controller. ``completion`` serves the shells.
"""
