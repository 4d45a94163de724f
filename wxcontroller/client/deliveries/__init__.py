"""Delivery of events to the webhook (post_api)."""
