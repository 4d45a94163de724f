"""Headers of deliveries, and reports that a webhook refuses."""

import base64
import hashlib
import hmac
import shutil
from pathlib import Path

import pytest

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import logged_in, message
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.core.states import LoginState
from wxcontroller.drivers.base import Loading, LoginWay, LossReason, SessionLost


async def reached(client: RunningClient, state: LoginState) -> JsonObject:
    await until(lambda: client.state().get("login_state") == state.value and client.state().get("logins"))
    return client.state()


async def test_session_ended_after_a_move_is_not_logged_in_again(start: Start, client: RunningClient) -> None:
    await client.stop()
    kicked = SessionLost(LossReason.KICKED, 1101)
    # On the host where it has always run, the account logs in again.
    client = start()
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    await reached(client, LoginState.LOADING)
    await client.stop()
    client = start(WXCLIENT_EPOCH="2")
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    state = await reached(client, LoginState.PARKED)
    assert state["ended"] == "elsewhere"
    assert not client.driver.script.empty()  # the driver was stopped
    await client.stop()
    # Started again by a person.
    client = start(WXCLIENT_EPOCH="2")
    client.driver.play([*logged_in(LoginWay.STORED), kicked, Loading()])
    await reached(client, LoginState.LOADING)


async def test_ids_and_attempts_go_on_after_a_restart(webhook: Webhook, start: Start) -> None:
    webhook.refusals["one"] = [500]
    client = await running(start, **{POST_API: webhook.address, "WXCLIENT_WEBHOOK_RETRY_FIRST": "60"})
    client.driver.play([message("one")])
    await webhook.tries(1)
    await client.stop()
    client = await running(start, **{POST_API: webhook.address, "WXCLIENT_EPOCH": "7"})
    client.driver.play([message("two")])
    first, second, other = (headers for headers, _ in await webhook.tries(3))
    assert first["X-Wx-Delivery"] == second["X-Wx-Delivery"] != other["X-Wx-Delivery"]
    assert (first["X-Wx-Attempt"], second["X-Wx-Attempt"]) == ("1", "2")
    # A report keeps the epoch in which it was stored.
    assert [one["X-Wx-Epoch"] for one in (first, second, other)] == ["1", "1", "7"]


async def test_two_hosts_report_a_message_with_one_id(start: Start, webhook: Webhook) -> None:
    image = {"id": "m2", "kind": MessageKind.IMAGE, "media": MessageMedia(MessageKind.IMAGE, "k")}
    client = await running(start, **{POST_API: webhook.address})
    await client.stop()
    state = client.paths.state("alice")
    bundle = shutil.copytree(state, state.with_name("bundle"))
    lost = await running(start, **{POST_API: webhook.address})
    lost.driver.play([message("text", id="m1"), message("image", **image), message("on the lost host", id="m3")])
    await webhook.messages(3)
    await lost.stop()
    shutil.rmtree(state)
    bundle.rename(state)
    # WeChat sends what the lost host had not acknowledged again: to the host that has taken the account over.
    adopter = await running(start, **{POST_API: webhook.address, "WXCLIENT_EPOCH": "2", "WXCLIENT_ADOPTED": "2"})
    adopter.driver.play([message("text", id="m1"), message("image", **image), message("on this host", id="m4")])
    await webhook.messages(6)
    found = [(each, str(one["id"])) for each, one in zip(webhook.ids, webhook.reports, strict=True) if "id" in one]
    assert [message_id for _, message_id in found] == ["m1", "m2", "m3", "m1", "m2", "m4"]
    assert len({each for each, _ in found}) == len(set(found)) == 4
    # The id that a receiver has logged leads to the report.
    status, shown = await adopter.v1("GET", f"deliveries/{found[0][0]}")
    assert (status, shown["delivery"], obj(shown["report"])["id"]) == (200, found[0][0], "m1")
    _, page = await adopter.v1("GET", "events?types=friend_message")
    assert [obj(event)["delivery"] for event in items(page["events"])] == [each for each, _ in found[3:]]
    own = [each for each, one in zip(webhook.ids, webhook.reports, strict=True) if "id" not in one]
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(
    ("secrets", "variable"),
    [
        (["one"], ""),
        (["new", "old"], "new old"),  # in a variable, which has one line
        (["whsec_AAEC/w==", "whsec_no", "whsec_"], "whsec_AAEC/w== whsec_no whsec_"),
        (["correct horse battery staple"], "correct horse battery staple"),
        (["new", "old"], ""),
        (["correct horse battery staple", "old"], ""),
        (["two words"], ""),
    ],
)
async def test_reports_are_signed_with_each_secret(
    webhook: Webhook, start: Start, tmp_path: Path, secrets: list[str], variable: str
) -> None:
    environ = {POST_API: webhook.address, "WXCLIENT_WEBHOOK_SECRET": variable}
    if not variable:
        (tmp_path / "webhook-secret").write_text("\n".join(secrets))
        environ["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    client = await running(start, **environ)
    client.driver.play([message("早")])
    [(headers, body)] = await webhook.tries(1)
    signed = headers["X-Wx-Timestamp"].encode() + b"." + body
    expected = [f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}" for secret in secrets]
    assert headers["X-Wx-Signature"] == ", ".join(expected)
    # Standard Webhooks: the id is signed too, and a secret whsec_… is the base64 of its key.
    keys = [b"\0\1\2\xff" if secret.startswith("whsec_AAEC") else secret.encode() for secret in secrets]
    signed = f"{headers['X-Wx-Delivery']}.".encode() + signed
    standard = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    assert headers["webhook-signature"] == " ".join(f"v1,{one}" for one in standard)


@pytest.mark.parametrize(("status", "options"), [(410, {}), (422, {}), (401, {"WXCLIENT_WEBHOOK_FINAL": "401"})])
async def test_permanently_refused_report_is_dead_without_delaying_others(
    webhook: Webhook, start: Start, status: int, options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    webhook.refusals["bad"] = [status]
    client = await running(start, **{POST_API: webhook.address}, **options)
    client.driver.play([message("bad"), message("good")])
    await webhook.tries(2)
    assert webhook.contents == ["bad", "good"]
    info = obj(await until(lambda: client.get("get_client_info"), lambda info: obj(info)["reports_dead"]))
    assert (info["reports_refused"], info["reports_dead"], info["reports_dropped"]) == (1, 1, 0)
    assert "dead letter" in caplog.text
    assert "bad" not in caplog.text
