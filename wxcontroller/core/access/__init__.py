"""Rights: scopes of tokens (``rights``), and the tokens and other secrets.

``rights`` lists every endpoint with the scope that it needs: start there. ``tokenfile`` has the API's tokens,
``porttokens`` those that an account's process checks, ``systemdcredentials`` reads secrets that systemd passes. The
limit on failed tries is in ``core.failurelimit``.
"""
