"""WeChat's web protocol, served.

``webwire`` routes requests to the modules whose names begin with weixin, one for each group of calls: start there.
``webcall`` is one call, with the checks of its session; ``desktop`` tells the desktop client from a browser.
``composing`` writes messages, ``payloads`` the other answers, ``socialevents`` the events among people. ``forms`` and
``xmlread`` read what clients send.
"""
