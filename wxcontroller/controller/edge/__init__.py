"""The controller's port: a request's connection, its admission, its caller's rights, and failures.

Start with ``authorization``, which compares the caller with what the call needs. ``portadmission`` limits how much
one caller may take, ``foreignpages`` refuses calls of foreign web pages. ``failureanswers`` turns exceptions into
answers, ``publisherforms`` has their form for ntfy and Gotify. ``peers`` and ``certificates`` are about the
connection, ``requestbody`` and ``spool`` about bodies, ``streams`` serves streams, ``browserheaders`` goes into every
response. ``watchtokens`` watches the tokens, ``requestmetrics`` counts. ``baseurl`` and ``ilinkpaths`` are for the
iLink API.
"""
