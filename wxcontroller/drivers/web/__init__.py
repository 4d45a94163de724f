"""The Web route: calls (wire), decode (values), session (behaviour)."""
