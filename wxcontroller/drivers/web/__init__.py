"""The web route: the protocol of WeChat's web page and desktop client (weixin-web-protocol).

Four layers, so that a change at WeChat affects only one: ``wire`` builds requests, ``decode`` reads responses,
``session`` acts on them, and ``media`` transfers content. A layer imports only itself and the layers named before
it. ``driver`` connects them: start there.
"""
