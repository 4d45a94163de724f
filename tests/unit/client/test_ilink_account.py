"""An account on the iLink route and its login, with the sandbox as WeChat."""

import json

from tests.patience import until
from tests.unit.client.stage import Stage


async def test_a_restart_needs_no_scan(ilink: Stage) -> None:
    client = await ilink.enter()
    assert await client.stop() == 0
    missed = ilink.route.write(ilink, "meanwhile")
    await ilink.begin().until_state("running")
    assert (await ilink.report(missed))["content"] == "meanwhile"


async def test_session_of_another_stopped_account_is_not_used(ilink: Stage) -> None:
    client = await ilink.enter()
    marks = client.state()["login_marks"]
    assert ilink.ilink.bot.bot_id not in str(marks) and ilink.ilink.peer not in str(marks)
    await client.stop()
    polls = ilink.ilink.requests("getupdates")
    book = client.paths.logins
    book.parent.mkdir(parents=True)
    book.write_text(json.dumps({"bob": {"account": "bob", "marks": marks}}))
    client = ilink.begin()
    await until(lambda: client.state().get("ended") == "taken")
    state = client.state()
    assert "account bob has it" in str(state["reason"]) and state["login_state"] == "parked"
    assert ilink.ilink.requests("getupdates") == polls
    await client.stop()
    book.write_text(json.dumps({"alice": {"account": "alice", "marks": marks}}))
    await ilink.begin().until_state("running")
