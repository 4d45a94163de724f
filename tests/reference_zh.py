"""Write docs/zh/reference: the tables of tests/reference.py, with the texts of Chinese man pages and catalog."""

import re
from collections.abc import Callable, Iterable, Mapping

from tests import reference
from tests.reference import EVENTS, ROOT, code, table
from wxcontroller.controller.errors import FAILURES
from wxcontroller.controller.v1.described import CODES
from wxcontroller.core.access import Endpoint
from wxcontroller.core.alertsettings import AlertSettings
from wxcontroller.core.condition.model import Code, Condition
from wxcontroller.core.journal import LEVELS, MESSAGE_IDS, Event
from wxcontroller.core.limits import REMOVED, shown
from wxcontroller.core.options import OPTIONS, Origin
from wxcontroller.core.settings import OBSOLETE, Settings
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.openwx.eventtypes import DEFAULT_EVENTS, FOR_CHECK_EVENT

PLACE = ROOT / "docs/zh/reference"
_MAN = ROOT / "docs/man/zh_CN"
# When events are reported.
WHEN: Mapping[str, str] = {
    "login": "用手机登录（1），或用保存的会话登录（0）；被拒绝（-1）",
    "stop": "账号的进程停止",
    "state_change": "状态改变",
    "input_qrcode": "有二维码待扫描",
    "new_friend": "新增联系人",
    "lose_friend": "联系人被移除",
    "new_group": "新增群",
    "lose_group": "退出群，或群被解散",
    "new_group_member": "群里新增成员",
    "lose_group_member": "成员离开群",
    "friend_request": "收到好友请求；用于 accept_friend_request",
    "friend_property_change": "联系人的某项资料改变",
    "group_property_change": "群的某项资料改变",
    "group_member_property_change": "群成员的某项资料改变",
    "user_property_change": "账号自己的某项资料改变",
    "update_user": "登录之后，载入了账号自己的资料",
    "update_friend": "登录之后，载入了联系人",
    "update_group": "登录之后，载入了群",
}
# Conditions of an account, and its issues with their severity.
CONDITIONS: Mapping[str, str] = {
    "stopped": "不期望运行，也没有进程",
    "down": "期望运行，但没有进程",
    "failed": "单元失败",
    "restarting": "进程意外结束，systemd 即将再次启动它",
    "starting": "单元正在启动",
    "stopping": "单元正在停止",
    "up": "程序在运行，但不报告状态",
    "unreadable": "状态文件无法读取",
    "init": "程序正在启动",
    "loading": "正在登录",
    "scanning": "有二维码待扫描",
    "confirming": "等待在手机上确认",
    "updating": "已登录，正在载入联系人",
    "running": "微信在最近一分钟内有应答",
    "offline": "已登录，但微信最近没有应答",
    "parked": "不再尝试，等待人工处理",
    "input": "等待有人做出决定",
    "unreachable": "它所在的主机没有应答",
}
ISSUES: Mapping[str, tuple[str, str]] = {
    "unit-down": ("error", "期望运行，但没有进程"),
    "unit-failed": ("error", "单元失败"),
    "crash-loop": ("error", "systemd 在十分钟内重启了它三次"),
    "unit-restarting": ("warning", "进程意外结束，systemd 正在重启它"),
    "no-state": ("warning", "程序在运行，但不报告状态"),
    "state-unreadable": ("warning", "状态文件无法读取"),
    "login-stuck": ("error", "登录的时间超过 `[alerts]` 的 `after`，或 20 分钟"),
    "offline": ("error", "已登录，但微信最近没有应答"),
    "parked": ("error", "不再尝试，等待人工处理"),
    "needs-decision": ("error", "等待人工回答"),
    "needs-scan": ("warning", "有二维码待扫描"),
    "needs-confirmation": ("warning", "等待在手机上确认登录"),
    "moving": ("notice", "已停止，正在迁移到另一台主机"),
    "old-code": ("notice", "进程运行的版本与安装的不同"),
    "cannot-store": ("error", "收到的消息无法写入磁盘"),
    "log-damaged": ("error", "事件日志在最近一天内损坏并被替换"),
    "reports-lost": ("error", "最近一天内有上报因日志已满而丢失"),
    "dead-letters": ("warning，有新的死信时为 error", "有死信没有重新发送、清除或确认"),
    "person-restricted": ("warning", "微信接受发给某人的消息，但一条也不显示"),
    "webhook-failing": ("warning", "webhook 失败已有半分钟"),
    "host-unreachable": ("error", "账号在另一台主机上，该主机没有应答"),
    "duplicate-name": ("error", "另一台主机也有同名账号"),
    "reports-late": ("warning", "有上报等待了 15 分钟，但没有错误"),
}
# Errors of /v1.
ERRORS: Mapping[str, str] = {
    "account-exists": "已有同名账号。",
    "bad-account-file": "账号的环境文件无法解析。",
    "disk": "本机的一个文件不能读取或写入。",
    "bad-name": "账号名无效。",
    "bad-option": "选项不存在、值无效，或不可由请求设置。",
    "bad-request": "查询字符串或正文无法解析为参数。",
    "max-clients": "已有 max_clients 个账号在运行。",
    "no-such-consumer": "账号没有这个名称的消费者。",
    "no-such-pairing": "没有使用这个代码的配对请求。",
    "not-served": "设置中没有启用该 API。",
    "too-many-pairings": "待批准的配对请求太多。",
    "host-unreachable": "另一台主机没有给出可用的应答。",
    "wrong-host": "调用到了不能处理它的主机：账号在另一台主机上，或同时在两台上。",
    "no-alerts": "没有设置任何告警渠道。",
    "no-journal": "无法读取日志。",
    "no-port": "账号的端口范围里没有空余的端口。",
    "no-qrcode": "此刻没有二维码可扫。",
    "not-answering": "账号的程序没有给出可用的应答。请求可能已经执行。",
    "not-running": "账号没有在运行。没有向它的端口发送任何内容，该端口可能正被别的程序使用。",
    "logged-in": "账号已登录，没有二维码。",
    "moving": "账号正在迁移到另一台主机。",
    "moved": "账号已经迁移到另一台主机。",
    "stale-epoch": "这是账号迁移之前的副本。",
    "no-such-move": "账号没有在迁往另一台主机，或者在另一次迁移中。",
    "not-receiving": "不能把账号迁移到本机。",
    "arrival-refused": "另一台主机发来的账号被拒绝，消息给出原因。",
    "older-version": "账号运行的是旧版本，不支持该调用。",
    "other-route": "运行中的账号不能换用另一条线路。",
    "target-exists": "已经有同名的通知目标。",
    "template": "账号的模板无法渲染，或者结果缺少必需的变量。",
    "too-many-readers": "事件的读取者已达上限。",
    "too-many-tests": "一小时内的测试告警已达上限。",
    "unit-failed": "systemd 拒绝了操作，或操作失败。",
    "unknown-account": "没有这个名称的账号。",
    "unknown-target": "没有这个名称的通知目标。",
}


def document(*parts: str) -> str:
    return "\n\n".join(parts)


def entries(page: str) -> Mapping[str, str]:
    """Return the description of each key in a man page: the first sentence, and those that explain a value."""
    found: dict[str, str] = {}
    source = (_MAN / f"{page}.scd").read_text(encoding="utf-8")
    for heads, words in re.findall(r"^(\*\w+\*[^\n]*)\n\t([^\n\t]+)$", source, re.MULTILINE):
        first, *others = re.findall(r"[^。]+。", plain(words)) or [plain(words)]
        for name in re.findall(r"(?:^|, )\*(\w+)\*", heads):
            said = "".join([first, *(one for one in others if re.match(r"\d：", one))])
            found.setdefault(name, said.removesuffix("。"))
    return found


def plain(text: str) -> str:
    """Return the text of a man page without markup."""
    text = re.sub(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])", r"\\_", text)
    return re.sub(r"\\(.)|[*_]", r"\1", text)


def rows(page: str, names: Iterable[tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
    """Yield rows: a key and its other cells, with the man page's Chinese description in place of _SAID."""
    said = entries(page)
    for name, *cells in names:
        assert re.search("[\u4e00-\u9fff]", said[name]), f"{page}: {name} has no Chinese description"
        yield (code(name), *(said[name] if cell == _SAID else cell for cell in cells))


_SAID = "…"


def settings() -> str:
    def keys(of: type[Settings] | type[AlertSettings]) -> Iterable[tuple[str, ...]]:
        defaults = {name: code(reference.toml(getattr(of(), name))) for name in reference.keys(of)}
        return rows("wxcontroller.toml.5", [(*one, _SAID) for one in defaults.items()])

    return document(
        "# 设置",
        "`/etc/wxcontroller/wxcontroller.toml` 以及旁边 `wxcontroller.toml.d` 中各文件的键，后者优先。详细说明见 "
        "[wxcontroller.toml(5)](../../man/zh_CN/wxcontroller.toml.5.scd)。时长以秒为单位。",
        table(["键", "默认值", "含义"], keys(Settings)),
        "表 `[client]` 里是账号[选项](options.md)的默认值，`[limits]` 里是对外来内容的[限额](limits.md)，`[fleet]` "
        "里是[其他主机](../howto/several-hosts.md)。",
        "## 表 [alerts]",
        table(["键", "默认值", "含义"], keys(AlertSettings)),
        "## 不起作用的选项",
        "原控制器的选项，仍然接受，但不起作用，并给出警告：",
        table(["键", "理由"], rows("wxcontroller.toml.5", [(name, _SAID) for name in OBSOLETE])),
    )


def limits() -> str:
    source = (_MAN / "wxcontroller.toml.5.scd").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)\n\n(.+)$", source.partition("*[limits]*")[2], re.MULTILINE)
    parts = []
    for (_, _, listed), (title, since) in zip(reference.audiences(), sections, strict=True):
        keys = [
            (one.name, code(shown(one.default)), f"{shown(one.low)} 到 {shown(one.high)}", _SAID) for one in listed
        ]
        parts += [
            f"## {title}",
            since,
            table(["键", "默认值", "范围", "含义"], rows("wxcontroller.toml.5", keys)),
        ]
    return document(
        "# 限额",
        "[设置](settings.md)中表 `[limits]` 的键。怎样只为一个账号设置，以及其他所有限额，"
        "见[限额](../limits.md)一页。",
        *parts,
        "## 已取消的键",
        "2.0.0 中可以设置、现在不能再设置的限额。设置了它们的文件仍然可用，会有一条警告；限额是这里给出的值。",
        table(["键", "限额"], [(code(name), shown(value)) for name, value in REMOVED.items()]),
    )


def options() -> str:
    def keys(origin: Origin) -> Iterable[tuple[str, ...]]:
        chosen = [option for option in OPTIONS.values() if option.origin is origin]
        keys = [(one.name, code(one.default), _SAID, code(one.variable)) for one in chosen]
        return rows("wxclient.8", keys)

    head = ["选项", "默认值", "含义", "变量"]
    ignored = [code(one.name) for one in OPTIONS.values() if one.origin is Origin.IGNORED]
    return document(
        "# 账号的选项",
        "在启动时给出（`wxctl start alice --option send_interval=5`，或 `/openwx/start_client` 的参数），写在[设置]"
        "(settings.md)的 `[client]` 下，或作为变量写在 `/etc/wxcontroller/clients/INSTANCE.env` 里。详细说明见 "
        "[wxclient(8)](../../man/zh_CN/wxclient.8.scd)。",
        "## 请求和设置都可以设置的选项",
        table(head, keys(Origin.REQUEST)),
        "## 只能在设置中设置的选项",
        "任何请求都不能设置这些。",
        table(head, keys(Origin.SETTINGS)),
        "## 不起作用的选项",
        "原客户端的选项，为兼容旧脚本而接受：" + "、".join(ignored) + "。",
    )


def states() -> str:
    source = (_MAN / "wxclient.8.scd").read_text(encoding="utf-8")
    words = dict(re.findall(r"^\|  \w+\n:  (\w+)\n:  (.*)$", source, re.MULTILINE))
    login = [(code(state), code(state.word), plain(words[state.value])) for state in LoginState]
    return document(
        "# 状态",
        "一个账号有三种状态：期望状态，单元的状态，登录的状态。",
        "## 登录",
        "`login_state` 用于 `/v1` 和 wxctl；`state` 用于 `/openwx`、上报和状态文件，那里用的是原来的状态名。",
        table(["login_state", "state", "含义"], login),
        "## 单元",
        "systemd 的 ActiveState；`absent`：它没有载入该单元。",
        table(["unit_state", "有进程"], [(code(one), "是" if one.has_process else "否") for one in UnitState]),
        "## 状况",
        "对单元、进程、登录和投递的统一判断：`/v1` 的 `condition`，也是 wxctl 和管理网页显示的状况。",
        table(["condition", "含义"], reference.conditions({each.name: CONDITIONS[each] for each in Condition})),
        "## 问题",
        "`/v1` 的 `issues` 列出账号的问题，最严重的在前；`advice` 是其中第一个，`severity` 是它的严重程度。"
        "从 `warning` 起，账号就算有问题。不期望运行的账号最多只有 `notice`。告警按[种类](../howto/alerts.md)发出。",
        table(
            ["code", "severity", "何时", "告警"],
            reference.issues({each.name: ": ".join(ISSUES[each]) for each in Code}),
        ),
        "## 期望状态",
        "由最近一次启动或停止决定，机器重启后仍有效：" + "、".join(code(each) for each in Desired) + "。",
    )


def events() -> str:
    told = [
        (code(name), code(params), WHEN[name], yes(name in DEFAULT_EVENTS), yes(name in FOR_CHECK_EVENT))
        for name, (params, _) in EVENTS.items()
    ]
    return document(
        "# 事件",
        '`"post_type": "event"` 的上报：`event` 是名称，`params` 是列表。“默认”一列没有“是”的，写进选项 '
        "`post_event_list` 才会上报；最后一列标出 `check_event` 给出哪些。`receive_message` 和 `send_message` 见"
        "[消息种类](../messages.md)；它们怎样送达，见[事件与投递](../deliveries.md)。",
        table(["事件", "params", "何时", "默认", "check_event"], told),
    )


def yes(is_so: bool) -> str:
    return "是" if is_so else ""


def journal() -> str:
    parts = [
        f"## {event}\n\n{told}。`MESSAGE_ID={MESSAGE_IDS[event]}`\n\n{words}"
        for event, told, words in reference.explained("wxcontroller.zh_CN.catalog")
    ]
    assert len(parts) == len(Event)
    return document(
        "# 日志",
        "重要的行带有字段 `WX_EVENT`，值为下列之一：`journalctl WX_EVENT=parked`；加上 `-x` 还会显示说明。"
        "`WX_ACCOUNT` 是账号，`WX_STATE` 是它的状态。日志行本身是英文。`log_level` 的级别，从最详细到最简略："
        f"{'、'.join(LEVELS)}。",
        *parts,
    )


def errors() -> str:
    statuses = {failure.code: failure.status for failure in reversed(FAILURES)}
    assert set(ERRORS) == set(statuses), "this list and that of the code are different"
    told = sorted((str(status), code(word), ERRORS[word]) for word, status in statuses.items())
    others = sorted(set(CODES) - set(statuses) - reference.UNEXPECTED)
    return document(
        "# /v1 的错误",
        '失败是 `{"error": {"code": …, "message": …, "remedy": …}}`：给程序看的词，以及给人看的什么失败了、该怎么办，'
        "后两者是英文。`/openwx` 的失败见[兼容性](../compatibility.md)和[发送](../sends.md)。",
        "`message_text` 和 `remedy_text` 是同样的内容，但以数据给出，供用其他语言显示：`template` 是英文原文，"
        "花括号里是值的名字，`values` 是这些值。`error.values` 有两者的值。API 中凡是给人看的文字，旁边都有这样一个 "
        "`…_text`；还在运行 2.0.0 的账号没有。",
        table(["状态码", "code", "含义"], told),
        "表外还有这些，在发生之处给出：" + "、".join(code(word) for word in others) + "。",
        "其他预料之中的失败，状态码为 500，code 为 `failed`。预料之外的是 `internal`，附有一个编号，日志里也有。",
    )


PAGES: Mapping[str, Callable[[], str]] = {
    made.__name__: made for made in (settings, limits, options, states, events, journal, errors)
}


def page(name: str) -> str:
    """Return a page's whole text."""
    return reference.framed(PAGES[name](), f"[English](../../reference/{name}.md)")


def settings_page(content: str) -> str:
    """Return wxcontroller.toml(5) with an entry for each key; new ones are in English."""
    content = reference.settings_page(content)
    for listed in reference.of_limits():
        content = reference.with_entries(content, listed)
    return content


def access_page(content: str) -> str:
    """Return docs/zh/access.md with a row for each endpoint; new ones are in English."""
    head = ["方法", "路径", "权限范围", "用途"]
    listed = re.findall(rf"{re.escape(table(head, ()))}\n((?:\|.*\n)*)", content)

    def of(endpoints: Iterable[Endpoint], there: str) -> Iterable[tuple[str, ...]]:
        found = re.findall(r"^\| (.+?) \| (`.+?`) \| .+? \| (.+) \|$", there, re.MULTILINE)
        known = {(methods, path): words for methods, path, words in found}
        for methods, path, scope, words in map(reference.row, endpoints):
            yield methods, path, "无" if scope == "none" else scope, known.get((methods, path), words)

    return reference.with_tables(content, head, map(of, reference.ENDPOINTS, listed))


# Pages with generated parts.
WITHIN: Mapping[str, Callable[[str], str]] = {
    "docs/zh/access.md": access_page,
    "docs/man/zh_CN/wxcontroller.toml.5.scd": settings_page,
    "docs/man/zh_CN/wxclient.8.scd": lambda content: reference.wxclient(
        content,
        "空",
        ("以下选项则是 *WXCLIENT\\_* 加上大写的选项名：\n\n", "\n\n括号中为默认值"),
        ("以下选项不能由请求设置：\n\n", "\n\n可以启动账号的人"),
        "、",
    ),
}


def filled(name: str) -> str:
    """Return a page with its generated parts."""
    return WITHIN[name]((ROOT / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    reference.write(PLACE, WITHIN, filled, page)
