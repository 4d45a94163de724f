"""The order of login modes: normal first, desktop only after WeChat refused and the owner agreed (protocol 2.3)."""

import json

import pytest

from tests.unit.drivers.kit import HURRY, Drive, Store, Wechat
from wxcontroller.drivers import base
from wxcontroller.sandbox.world.phone import ServerAccount, WebLogin

ASKED = "allow-desktop"
RISK = "bar it from scanning any code for about two weeks"


@pytest.fixture
def refused(world: Wechat) -> ServerAccount:
    """An account that WeChat accepts only in desktop mode."""
    return world.sandbox.add_account(web_login=WebLogin.DESKTOP, push_login=False)


def modes(world: Wechat) -> list[bool]:
    """Whether each login so far, oldest first, was one of the desktop client.

    The sandbox notes a violation where a login page's headers and query do not agree with what its code was for.
    """
    assert not [violation for violation in world.sandbox.ledger.violations if violation.refused is None]
    return [login.desktop for login in reversed(list(world.sandbox.logins.newest_first()))]


async def asked(drive: Drive) -> base.InputRequired:
    return await drive.until(base.InputRequired)


async def agree(drive: Drive) -> None:
    await asked(drive)
    await drive.driver.answer(ASKED, "yes")


def age(decisions: Store, seconds: float) -> None:
    assert decisions.content is not None
    stored = json.loads(decisions.content)
    stored["refused"] = {mode: [at - seconds for at in times] for mode, times in stored["refused"].items()}
    decisions.content = json.dumps(stored).encode()


async def test_desktop_mode_needs_a_refusal_and_consent(world: Wechat, refused: ServerAccount) -> None:
    async with world.drive() as drive:
        refusal = await world.refused(drive, refused)
        assert (refusal.ret, refusal.final) == (1203, True)
        question = await asked(drive)
        assert (question.id, question.kind) == (ASKED, base.InputKind.CONSENT)
        assert RISK in str(question.prompt) and "driver=ilink" in str(question.prompt)
        await drive.progressed(3)  # it waits, and is alive
        assert drive.count(base.QrReady) == 1
        assert modes(world) == [False]
        await drive.driver.answer(ASKED, "yes")
        await world.enter(drive, refused)
        assert modes(world) == [False, True]
        assert refused.session is not None
        assert refused.session.desktop


async def test_consent_outlives_the_session_and_its_cookies(world: Wechat, refused: ServerAccount) -> None:
    async with world.drive(keep_cookie="0") as drive:
        await world.refused(drive, refused)
        await agree(drive)
        await world.enter(drive, refused)
        await drive.driver.logout()
        assert (await drive.end()).reason is base.EndReason.LOGGED_OUT
    async with world.drive(keep_cookie="0") as drive:
        assert (await world.login_of(drive)).desktop
    assert drive.count(base.InputRequired) == 0


async def test_restart_asks_for_consent_again_without_a_code(world: Wechat, refused: ServerAccount) -> None:
    async with world.drive() as drive:
        await world.refused(drive, refused)
        await asked(drive)
        assert await drive.stop() < HURRY.call
    async with world.drive() as drive:
        await asked(drive)
        assert drive.count(base.QrReady) == 0
    age(world.decisions, 3700)
    async with world.drive() as drive:  # a refusal may be temporary: "environment abnormal"
        assert not (await world.login_of(drive)).desktop
    assert modes(world) == [False, False]


async def test_three_refusals_a_day_are_enough(world: Wechat, refused: ServerAccount) -> None:
    for _ in range(3):
        async with world.drive() as drive:
            await world.refused(drive, refused)
            await asked(drive)
        age(world.decisions, 3700)
    async with world.drive() as drive:
        await asked(drive)
    age(world.decisions, 86400)
    async with world.drive() as drive:
        await world.login_of(drive)


async def test_refusals_before_an_accepted_login_do_not_count(world: Wechat, refused: ServerAccount) -> None:
    for accepted in (WebLogin.DESKTOP, WebLogin.DESKTOP, WebLogin.NORMAL, WebLogin.DESKTOP):
        refused.web_login = accepted
        async with world.drive() as drive:
            if accepted is WebLogin.NORMAL:
                await world.enter(drive, refused)
            else:
                await world.refused(drive, refused)
                await asked(drive)
        age(world.decisions, 3700)
    async with world.drive() as drive:
        await world.login_of(drive)


async def test_refused_in_both_modes_is_final_for_an_hour(world: Wechat) -> None:
    account = world.sandbox.add_account(web_login=WebLogin.REFUSED)
    async with world.drive() as drive:
        await world.refused(drive, account)
        await agree(drive)
        assert (await world.refused(drive, account)).final
        ended = await drive.end()
    assert ended.reason is base.EndReason.REFUSED
    assert "1203" in str(ended.words)
    assert "driver=ilink" in str(ended.words)
    async with world.drive() as drive:
        ended = await drive.end()
        assert (ended.reason, "driver=ilink" in str(ended.words)) == (base.EndReason.REFUSED, True)
        assert drive.count(base.QrReady) == 0
    age(world.decisions, 3700)
    account.web_login = WebLogin.NORMAL
    async with world.drive() as drive:
        await world.enter(drive, account)
    assert modes(world) == [False, True, False]


@pytest.mark.parametrize(("desktop", "accepted"), [("on", WebLogin.NORMAL), ("off", WebLogin.DESKTOP)])
async def test_configured_mode_is_the_only_one_tried(world: Wechat, desktop: str, accepted: WebLogin) -> None:
    account = world.sandbox.add_account(web_login=accepted)
    async with world.drive(desktop=desktop) as drive:
        assert (await world.refused(drive, account)).final
        ended = await drive.end()
    assert ended.reason is base.EndReason.REFUSED
    assert f"desktop={desktop}" in str(ended.words)
    assert drive.count(base.InputRequired) == 0
    assert modes(world) == [desktop == "on"]


async def test_desktop_session_of_an_older_version_keeps_its_mode_until_a_scan(world: Wechat) -> None:
    account = world.sandbox.add_account()
    store = Store()
    async with world.drive(store, desktop="on") as drive:  # as 2.0.0 logged in by default
        await world.enter(drive, account)
    async with world.drive(store) as drive:
        assert (await drive.until(base.Accepted)).way is base.LoginWay.STORED
    world.sandbox.close_session(account, 1101)
    async with world.drive(store) as drive:
        push = await world.consent(drive)
        assert push.desktop
        # As WeChat's page sets them for a login by a tap on the phone.
        jar = drive.driver._saved.memory.jar  # type: ignore[attr-defined]
        assert (jar.value("login_frequency"), jar.value("last_wxuin")) == ("2", str(account.uin))
        assert jar.value("wxloadtime") == f"{jar.value('wxpluginkey')}_expired" != "_expired"
        world.sandbox.logins.cancel(push)
        assert not (await world.login_of(drive)).desktop
    assert modes(world) == [True, True, False]


async def test_refused_mode_is_not_offered_to_the_phone(world: Wechat) -> None:
    account = world.sandbox.add_account()
    store = Store()
    async with world.online(account, store) as drive:
        account.web_login = WebLogin.DESKTOP
        world.sandbox.close_session(account, 1102)
        world.sandbox.logins.confirm(await world.consent(drive))
        assert (await drive.until(base.LoginRefused)).final
        await asked(drive)
    async with world.drive(store) as drive:
        await asked(drive)
        assert drive.count(base.PushOffered) == 0
        assert drive.count(base.QrReady) == 0
