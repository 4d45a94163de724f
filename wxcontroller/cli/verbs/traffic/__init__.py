"""Verbs about messages: sending, reading, deliveries, agents and targets."""
