"""Contacts, groups and members, as an account answers them."""

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Whole, WireRecord, Word


class ContactRecord(WireRecord, kw_only=True):
    """A contact."""

    id: str
    name: str
    kind: Word
    remark: str
    nickname: str
    wechat_id: str
    province: str
    city: str
    signature: str
    sex: Word


class GroupRecord(WireRecord, kw_only=True):
    """A group without its members."""

    id: str
    name: str
    members: Whole
    owner: str | None


class MemberRecord(WireRecord, kw_only=True):
    """A member of a group."""

    id: str
    name: str
    display: str
    nickname: str


class PageRecord(WireRecord, kw_only=True):
    """A page of people."""

    account: str | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.account = account


class ContactPage(PageRecord, kw_only=True):
    """A page of contacts."""

    contacts: list[ContactRecord]
    more: bool


class GroupPage(PageRecord, kw_only=True):
    """A page of groups."""

    groups: list[GroupRecord]
    more: bool


class MemberList(PageRecord, kw_only=True):
    """The members of a group."""

    group: str
    members: list[MemberRecord]
