"""Every duration of the iLink route in one place, so that tests can shorten them."""

from dataclasses import dataclass

from wxcontroller.drivers.connection.timing import LineTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class ILinkTiming(LineTiming):
    """Seconds. Section numbers are those of ilink-bot-protocol."""

    call: float = 15.0  # sendmessage and getuploadurl (17)
    brief: float = 10.0  # getconfig, sendtyping, notifystart, notifystop (17)
    farewell: float = 0.8  # notifystop at a stop: the whole stop of a driver may take a second

    code: float = 30.0  # get_bot_qrcode
    code_poll: float = 35.0  # get_qrcode_status is held for about as long (5.2)
    code_spacing: float = 1.0  # between two polls of one code
    code_refresh: float = 80.0  # an unscanned code is replaced at this age (5.2)
    code_life: float = 120.0  # the server expires a code at about this age
    answer_patience: float = 240.0  # for the digits that the phone shows, before the code counts as lost

    ticket_life: float = 80_000.0  # of a typing ticket: a day at most (10)

    hint: float = 35.0  # how long getupdates is held unless the server sets another time (6)
    hint_extra: float = 10.0  # an abort at the moment of the answer loses that batch
    hint_max: float = 120.0  # range of a server's hint
    short_poll: float = 10.0  # works behind every edge (6)
    short_poll_for: float = 86400.0
    edge_least: float = 5.0  # a poll that breaks sooner was not cut off by an edge
    edge_again: float = 600.0
    poll_retry: float = 2.0  # after a failed poll; after three in a row ``poll_rest`` (4)
    poll_rest: float = 30.0
    offline_after: float = 50.0  # an idle account gets an answer every 35 s

    held_alive: float = 2.0  # a first poll that is held this long was accepted: a dead token is answered at once
    confirm_pause: float = 1.0  # between notifystart and the poll that decides about a logout (5.5)
    confirm_alive: float = 5.0  # a poll held this long means that the session lives
    # More often it is two clients that use the same WeChat user, and not an idle session (5.5).
    cures: int = 3  # revivals within ``cures_within`` after which a further one is not tried
    cures_within: float = 600.0
    redelivery: float = 15.0  # the same message comes again within this time under another id (6)

    transfer_base: float = 30.0  # of a CDN transfer, plus a second per 100 KB (17)
    upload_pauses: tuple[float, ...] = (0.0, 1.0, 4.0)  # attempts on one permit (11.2)
    permit_pauses: tuple[float, ...] = (10.0, 30.0)  # attempts on the second permit
    media_refused_within: float = 600.0  # two refused permits within this time are a property of the account
    media_retry: float = 86400.0  # then one real attempt in this time

    @property
    def stuck_after(self) -> float:
        """See LineTiming."""
        return max(self.call, self.code, self.code_poll, self.hint_max + self.hint_extra) + self.overtime


DEFAULT = ILinkTiming()
