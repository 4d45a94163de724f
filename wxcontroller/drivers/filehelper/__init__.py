"""The filehelper route (experimental): WeChat's File Transfer page, on which an account writes to itself.

The page speaks the web route's protocol (weixin-web-protocol 15) with hosts, an application id and one conversation
of its own. So the wire, answers, login and loop are ``drivers.web``'s, and this package has only what differs:
``wire`` dresses the calls, ``decode`` turns entries around (what the phone sends to File Transfer is received here),
``session`` knows the one peer, ``driver`` joins them. Nothing of it was tried against WeChat.
"""
