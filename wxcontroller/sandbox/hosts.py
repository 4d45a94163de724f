"""The roles of host names (weixin-web-protocol 1.1, 1.2, 15.1; ilink-bot-protocol 2)."""

import enum
from dataclasses import dataclass

DOMAINS = ("wx.qq.com", "wx2.qq.com", "wx8.qq.com", "web.wechat.com", "web2.wechat.com")
# The File Transfer page's hosts, each with the domain of its login and files.
FILE_PAGES = {
    "szfilehelper.weixin.qq.com": "wx2.qq.com",
    "filehelper.weixin.qq.com": "wx.qq.com",
    "cmfilehelper.weixin.qq.com": "wx8.qq.com",
}
QR_HOST = "login.weixin.qq.com"
ILINK_HOSTS = ("ilinkai.weixin.qq.com", "ilinkai.wechat.com")
ILINK_CDN_HOST = "novac2c.cdn.weixin.qq.com"


class Role(enum.Enum):
    """The roles of WeChat's hosts."""

    LOGIN = "login"
    QR = "qr"
    BASE = "base"
    PUSH = "push"
    FILE = "file"
    FILE_PAGE = "file-page"
    ILINK = "ilink"
    ILINK_CDN = "ilink-cdn"


@dataclass(frozen=True, slots=True)
class Host:
    """One WeChat host: its role and the domain it belongs to (``""`` for hosts that serve all)."""

    name: str
    role: Role
    domain: str


_PREFIXES = {Role.LOGIN: "login.", Role.BASE: "", Role.PUSH: "webpush.", Role.FILE: "file."}
HOSTS: dict[str, Host] = {
    prefix + domain: Host(prefix + domain, role, domain) for domain in DOMAINS for role, prefix in _PREFIXES.items()
}
HOSTS |= {name: Host(name, Role.FILE_PAGE, name) for name in FILE_PAGES}
HOSTS[QR_HOST] = Host(QR_HOST, Role.QR, "")
HOSTS |= {name: Host(name, Role.ILINK, "") for name in ILINK_HOSTS}
HOSTS[ILINK_CDN_HOST] = Host(ILINK_CDN_HOST, Role.ILINK_CDN, "")


def place(host_header: str | None) -> Host | None:
    """Return the WeChat host that a Host header names (port and case ignored), or None for any other name."""
    if not host_header:
        return None
    name, _, port = host_header.lower().rpartition(":")
    return HOSTS.get(name if name and port.isdigit() else host_header.lower())


def serves(host: Host, domain: str) -> bool:
    """Return whether a session of ``domain`` uses a host."""
    return host.domain == (FILE_PAGES.get(domain, domain) if host.role is Role.FILE else domain)


def parent_domain(domain: str) -> str:
    """Return the domain that the data ticket is set on, so that it reaches the file host (1.5)."""
    return ".wechat.com" if domain.endswith(".wechat.com") else ".qq.com"
