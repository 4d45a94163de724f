"""The session of an account, from login to its end, and the state that it keeps.

``login`` logs in, with the owner's ``consent`` if necessary; ``saved`` stores the session for the next process.
``sync`` receives events, at the pace of ``poll_rate_limiter`` and ``guard``: start there. ``roster`` keeps people
and groups: ``identity`` recognizes them after a login, ``inquiries`` queries WeChat about them. ``commands`` changes
messages, people and groups.
"""
