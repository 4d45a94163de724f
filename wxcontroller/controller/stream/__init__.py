"""The events of all accounts as one stream: where a reader is, what it is fed from, and how it is served."""
