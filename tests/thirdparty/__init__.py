"""Unmodified third-party programs, with the sandbox and the product."""
