"""Outgoing messages: the queue, its pacing and the calls that fill it."""
