"""Several hosts: loaded only where the settings have the table [fleet]. See docs/howto/several-hosts.md."""
