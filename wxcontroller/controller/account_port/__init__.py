"""The only way to an account's port: one HTTP client, what is passed through, status, and events."""
