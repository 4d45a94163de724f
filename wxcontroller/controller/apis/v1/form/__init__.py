"""The form of all calls of /v1: their declaration, schemas, failures, and the position of a reader.

``declaring`` declares a call above its handler: start there. ``recordschemas`` makes schemas from record types,
``v1failures`` has the form of failures, ``cursor`` the position of a reader, ``freshstatus`` the status of an account
as its process answers it.
"""
