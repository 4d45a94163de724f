"""/metrics of the installed product, while an account lives through something."""

from prometheus_client.parser import text_string_to_metric_families

from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host


def test_what_an_account_lives_through_is_counted(host: Host) -> None:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("数")
    log_in(caller, phone, "alice", uin)

    def figure(name: str, **labels: str) -> float | None:
        status, headers, body = caller.get("/metrics")
        assert status == 200
        assert headers["Content-Type"].startswith("text/plain; version=")
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    assert figure("wxcontroller_accounts", state="running") == 1
    for _ in range(3):
        phone.write(uin, phone.friend(uin), "nobody's business")
    received = {"account": "alice", "direction": "received", "kind": "text"}
    until(lambda: figure("wxclient_messages_total", **received) == 3, "three messages counted")
    assert caller.openwx("send_friend_message", client="alice", id="filehelper", content="x")["code"] == 0
    assert figure("wxclient_messages_total", account="alice", direction="sent", kind="text") == 1
    assert figure("wxclient_last_sync_timestamp_seconds", account="alice") or 0 > 0
    assert b"business" not in caller.get("/metrics")[2]

    began = figure("wxclient_start_time_seconds", account="alice")
    host.run("systemctl", "kill", "--signal=KILL", "wxclient@alice.service")
    until(lambda: figure("wxclient_start_time_seconds", account="alice") not in (None, began), "a new program")
    assert figure("wxclient_messages_total", **received) == 0
    assert caller.openwx("stop_client", client="alice")["code"] == 0
    until(lambda: figure("wxclient_up", account="alice") == 0, "an account that is down")
    assert figure("wxclient_wanted", account="alice") == 0
