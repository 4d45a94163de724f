"""HTTP and TCP as all processes use them: requests, addresses, names, reasons of failures.

``httprequests`` makes requests (start there), ``directrequests`` saves the CPU of aiohttp's ClientSession, with
versions of aiohttp that ``aiohttpversion`` knows, ``httpbody`` writes bodies; ``relay`` forwards a request unchanged.
``resolver``, ``trustedservers`` and ``egress`` are for names, TLS and proxies; ``addresses``, ``urls`` and
``tcptable`` are about addresses, ``unreachable`` says why there is no connection. ``eventlines`` reads server-sent
events, ``mediatype`` media types.
"""
