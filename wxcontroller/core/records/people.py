"""Contacts, groups and members, as an account answers them."""

from msgspec import UNSET, UnsetType

from wxcontroller.core.records.decoding import Whole, WireRecord, Word


class ContactRecord(WireRecord, kw_only=True):
    """A contact."""

    id: str
    name: str | UnsetType = UNSET
    kind: Word | UnsetType = UNSET
    remark: str | UnsetType = UNSET
    nickname: str | UnsetType = UNSET
    wechat_id: str | UnsetType = UNSET
    province: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    sex: Word | UnsetType = UNSET


class GroupRecord(WireRecord, kw_only=True):
    """A group without its members."""

    id: str
    name: str | UnsetType = UNSET
    members: Whole | UnsetType = UNSET
    owner: str | None | UnsetType = UNSET


class MemberRecord(WireRecord, kw_only=True):
    """A member of a group."""

    id: str
    name: str | UnsetType = UNSET
    display: str | UnsetType = UNSET
    nickname: str | UnsetType = UNSET


class PageRecord(WireRecord, kw_only=True):
    """A page of people."""

    account: str | UnsetType = UNSET

    def locate(self, account: str) -> None:
        self.account = account


class ContactPage(PageRecord, kw_only=True):
    """A page of contacts."""

    contacts: list[ContactRecord]
    more: bool | UnsetType = UNSET


class GroupPage(PageRecord, kw_only=True):
    """A page of groups."""

    groups: list[GroupRecord]
    more: bool | UnsetType = UNSET


class MemberList(PageRecord, kw_only=True):
    """The members of a group."""

    group: str | UnsetType = UNSET
    members: list[MemberRecord]
