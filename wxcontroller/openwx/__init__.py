"""HTTP as callers see it: the original's contract, and the server side that controller and accounts share.

The contract (``contract``) is data and pure functions, the server side (``http``) reads requests and limits callers.
Start with ``openwx.contract.described``, which has its calls, or with ``openwx.http.connection``, a caller's
connection. Handlers are not here: they are in ``client`` and ``controller``.
"""
