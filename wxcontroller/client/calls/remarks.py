"""The name that the account's owner gives a person."""

from dataclasses import replace

from wxcontroller.client.calls.call import Parts
from wxcontroller.core.model import Contact


async def set_remark(parts: Parts, contact: Contact, remark: str) -> None:
    """Set it; "" removes it. Raises WxError. The change is applied at once; WeChat's later notice changes nothing."""
    await parts.driver.set_remark(contact.id, remark)
    if current := parts.roster.contacts.get(contact.id):
        parts.reporter.events(parts.roster.update([replace(current, markname=remark)], [], ()))
