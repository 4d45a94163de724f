"""The only way to an account's port: one HTTP client, the proxy, status, and events."""
