"""Every pause, timeout and limit of the Web route in one place, so that tests can shorten them."""

from dataclasses import dataclass

from wxcontroller.drivers.connection.timing import LineTiming


@dataclass(frozen=True, slots=True)
class WebTiming(LineTiming):
    """Seconds unless stated otherwise. Section numbers are weixin-web-protocol's."""

    retries: int = 5  # of a question that changes nothing at WeChat
    poll: float = 35.0  # the server holds about 25 (3.3, 5.5)
    contacts: float = 120.0  # large address books are slow (5.3)
    upload: float = 120.0  # of one chunk (5.8)
    offline_after: float = 45.0  # an idle account gets an answer every 25 to 36 s

    poll_spacing: float = 1.0  # least time between the beginnings of two login polls
    code_life: float = 120.0  # a QR code without a scan is replaced then
    code_least: float = 10.0  # one that the server ends sooner is followed by a pause
    scanned_again: float = 0.5  # after a repeated 201 (3.3)
    login_tries: int = 30  # unreadable answers in a row before a login attempt is abandoned: about 25 minutes
    poll_tries: int = 6  # ... before a QR code is
    # Two clients would otherwise end each other's sessions without end (9.3).
    relogins: int = 5  # sessions that may be lost within ...
    relogin_window: float = 3600.0

    check_spacing: float = 1.0  # between two synccheck calls in the long run; see poll_rate_limiter
    check_burst: int = 20  # that many may follow each other at once
    check_retry: float = 1.0  # first pause after a failed one
    flagged_within: float = 60.0  # a new session that ends so early is a ban's sign (9.3)
    guard_after: int = 3  # syncs in a row that bring nothing (9.1)
    guard_first: float = 3.0
    guard_least: float = 1.0  # with the option fix_media_loop=0
    guard_longest: float = 10.0
    unknown_codes: int = 10
    frequent_first: float = 60.0
    frequent_longest: float = 600.0
    frequent_limit: float = 3600.0
    refused_sends: int = 3  # 1101 answers to sends in a row that end a session

    # The contact API: as WeChat's page asks, 50 at a time, and no faster than in 2 s; more gets 1205 (5.4).
    batch_collect: float = 0.2  # 5.4
    batch_burst: int = 10
    batch_every: float = 2.0
    detail_every: float = 5.0  # between two questions about group members: nothing waits for them
    batch_pause: float = 3600.0  # after 1205
    roster_patience: float = 45.0  # for the groups, after which the account continues without the rest
    roster_again: float = 60.0  # delays before a failed contact list is requested again, the last one repeatedly
    roster_longest: float = 3600.0
    stranger_patience: float = 3.0  # how long a message waits for its sender's name
    member_refresh: float = 600.0  # between two queries of a group with an unknown member
    group_refresh: float = 3600.0  # an active group's list is refreshed at this age (6.6)
    notice_refresh: float = 10.0  # ... or whose notices, such as joins and leaves, arrive

    @property
    def stuck_after(self) -> float:
        """See LineTiming."""
        return max(self.call, self.poll, self.contacts, self.upload) + self.overtime


DEFAULT = WebTiming()
