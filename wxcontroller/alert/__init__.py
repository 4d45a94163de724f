"""Delivering alerts: wxcontroller-alert@.service, one instance for each way of telling somebody."""
