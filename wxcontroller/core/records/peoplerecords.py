"""Contacts, groups and members, as an account answers them."""

from typing import Annotated

from msgspec import UNSET

from wxcontroller.core.records.decoding import Sent, Whole, WireRecord, Word


class ContactRecord(WireRecord, kw_only=True):
    """A contact of the account."""

    schema_name = "ContactEntry"

    id: Annotated[str, "the lasting id"]
    name: Annotated[Sent[str], "the name to show"] = UNSET
    kind: Annotated[Sent[Word], ("friend", "official", "system"), "the kind of contact"] = UNSET
    remark: Annotated[
        Sent[str], "the name set by the account's owner; on iLink it is stored here, elsewhere at WeChat"
    ] = UNSET
    nickname: Annotated[Sent[str], "the name chosen by the person"] = UNSET
    wechat_id: Annotated[Sent[str], "the WeChat ID, if WeChat provides one"] = UNSET
    province: Annotated[Sent[str], "province, as written in the profile"] = UNSET
    city: Annotated[Sent[str], "city, as written in the profile"] = UNSET
    signature: Annotated[Sent[str], "line under the name"] = UNSET
    sex: Annotated[Sent[Word], "male or female; empty if unknown"] = UNSET


class GroupRecord(WireRecord, kw_only=True):
    """A group of the account."""

    schema_name = "GroupEntry"

    id: Annotated[str, "the lasting id"]
    name: Annotated[Sent[str], "its name, or names of members"] = UNSET
    members: Annotated[Sent[Whole], "the number of known members"] = UNSET
    owner: Annotated[Sent[str | None], "the lasting id of the owner"] = UNSET


class MemberRecord(WireRecord, kw_only=True):
    """A member of a group."""

    schema_name = "GroupMember"

    id: Annotated[str, "the lasting id"]
    name: Annotated[Sent[str], "the name to show"] = UNSET
    display: Annotated[Sent[str], "the name in this group, if one was chosen"] = UNSET
    nickname: Annotated[Sent[str], "the name chosen by the person"] = UNSET


class PageRecord(WireRecord, kw_only=True):
    """A page of people."""

    account: Sent[str] = UNSET

    def locate(self, account: str) -> None:
        self.account = account


class ContactPage(PageRecord, kw_only=True):
    """A page of contacts."""

    contacts: list[ContactRecord]
    more: Sent[bool] = UNSET


class GroupPage(PageRecord, kw_only=True):
    """A page of groups."""

    groups: list[GroupRecord]
    more: Sent[bool] = UNSET


class MemberList(PageRecord, kw_only=True):
    """The members of a group."""

    group: Sent[str] = UNSET
    members: list[MemberRecord]
