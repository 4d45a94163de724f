"""The original HTTP contract as data and pure functions."""
