"""Telling a human when an account drops: what is wrong, when it is told, and to whom it is handed."""
