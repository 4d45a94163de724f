"""Alerts about accounts: what is wrong, when an alert is due, and which channels get it."""
