"""Alerts about accounts: the problem, when an alert is due, and which channels get it."""
