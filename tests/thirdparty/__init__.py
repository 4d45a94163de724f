"""Unmodified programs of other people, against the sandbox and the product."""
