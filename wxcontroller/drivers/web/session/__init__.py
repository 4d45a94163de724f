"""The use of a connection by an account, and the state that it keeps.

``login`` gets in, with the owner's ``consent`` where that is needed, and ``saved`` keeps the session between
processes. ``sync`` listens, at the pace of ``poll_rate_limiter`` and ``guard``. ``roster`` knows people and groups:
``identity`` recognizes them after a login, ``inquiries`` asks WeChat for them. ``commands`` change messages, people
and groups.
"""
