"""HTTP as callers see it: the original's contract, and the server side that controller and accounts share.

The contract is data and pure functions: ``parameters``, ``replies``, ``objects``, ``formats``, ``reports``,
``statefile``; ``described`` has its calls, for the documentation (``describing``). The server side is ``listener``,
``connection`` (a caller's connection: start there) with ``http1``, ``admission`` (how much one caller may take),
``credentials`` and ``crosssite``. Handlers are not here: they are in ``client`` and ``controller``.
"""
