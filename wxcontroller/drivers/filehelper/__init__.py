"""The filehelper route (experimental): WeChat's File Transfer page, on which an account writes to itself.

The page speaks the web route's protocol (weixin-web-protocol 15) with its own hosts, application id and single
conversation. So the wire, answers, login and loop are ``drivers.web``'s, and this package has only the differences:
``wire`` builds the calls, ``decode`` reverses entries (messages from the phone to File Transfer are received here),
``session`` knows the one peer, ``driver`` joins them. None of it was tested against WeChat.
"""
