"""Programs by other people, unmodified, as judges of what the sandbox takes."""
