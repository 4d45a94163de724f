"""WeChat's hosts, and which names count as theirs (weixin-web-protocol 1.1, 1.2, 15.1)."""

import re
from dataclasses import dataclass

QR_HOST = "login.weixin.qq.com"  # serves the QR pictures whatever the account's domain is
# The File Transfer page's own hosts, each with the family that has its login and files; it has no push host.
FILE_PAGES = {
    "szfilehelper.weixin.qq.com": "wx2.qq.com",
    "filehelper.weixin.qq.com": "wx.qq.com",
    "cmfilehelper.weixin.qq.com": "wx8.qq.com",
}
# The domain comes from WeChat's answers: other characters could end the host part of a URL early.
_NAME = re.compile(r"[A-Za-z0-9.-]{1,253}")
# In this order: the first that fits decides.
_FAMILIES = (
    ("wx2.qq.com", "wx2.qq.com"),
    ("wx8.qq.com", "wx8.qq.com"),
    ("qq.com", "wx.qq.com"),
    ("web2.wechat.com", "web2.wechat.com"),
    ("wechat.com", "web.wechat.com"),
)


@dataclass(frozen=True, slots=True)
class WebHosts:
    """The hosts of an account whose home is ``base``."""

    base: str
    login: str
    push: str
    file: str


def hosts_of(domain: str) -> WebHosts:
    """Return the hosts that belong to a base host such as ``wx2.qq.com``. Raises ValueError for a foreign one."""
    if page := FILE_PAGES.get(domain):
        return WebHosts(domain, f"login.{page}", domain, f"file.{page}")
    for suffix, family in _FAMILIES if _NAME.fullmatch(domain) else ():
        if within(domain, suffix):
            return WebHosts(domain, f"login.{family}", f"webpush.{family}", f"file.{family}")
    raise ValueError("not a WeChat host")


def home_of(host: str) -> str:
    """Return the base host of the accounts that a host of any role serves. Raises ValueError for a foreign one."""
    return host if host in FILE_PAGES else hosts_of(host).login.removeprefix("login.")


def within(host: str, domain: str) -> bool:
    """Return whether ``host`` is ``domain`` or below it."""
    return host == domain or host.endswith("." + domain)
