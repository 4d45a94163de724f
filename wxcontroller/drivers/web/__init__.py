"""The Web route: the protocol of WeChat's web and desktop page. Protocol facts are those of weixin-web-protocol.

Four layers, so that a change at WeChat touches one: ``wire`` knows requests, ``decode`` what answers mean,
``session`` what to do about them, ``media`` moves content. A layer imports from itself and from those named before
it. ``driver`` joins the parts.
"""
