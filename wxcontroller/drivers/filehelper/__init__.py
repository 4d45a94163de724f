"""The filehelper route (experimental): WeChat's File Transfer page, on which an account writes to itself.

The page speaks the web route's protocol (weixin-web-protocol 15) with its own hosts, application id and a single
conversation. Requests, responses, login and sync loop are those of ``drivers.web``; this package contains only the
differences. ``wire`` builds the calls, ``decode`` reverses entries (messages from the phone to File Transfer are
received here), ``session`` has the one peer, ``driver`` connects them; start there. Nothing here was tested against
WeChat.
"""
