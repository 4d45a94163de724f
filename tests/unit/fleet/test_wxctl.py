"""wxctl fleet and doctor: the other hosts of the controller."""

import asyncio
import json
from functools import partial
from pathlib import Path

from tests.patience import until
from tests.unit.cli.conftest import Wxctl
from tests.unit.controller.machine import ROOT_TOKEN
from tests.unit.fleet.hosts import FleetHost
from tests.unit.fleet.owning import FleetMaker
from wxcontroller.core.names import parse_name
from wxcontroller.fleet.host import HostState


async def test_hosts_are_shown_with_their_problems(pair: tuple[FleetHost, FleetHost], tmp_path: Path) -> None:
    a, b = pair
    wxctl = partial(asyncio.to_thread, Wxctl(tmp_path, a.url, {"WXCTL_TOKEN": ROOT_TOKEN}))

    async def examined() -> set[str]:
        found = json.loads((await wxctl("doctor", "--json")).stdout)
        return {each["level"] for each in found if each["check"] == "fleet"}

    await b.accounts.start(parse_name("bob"), {}, {})
    await a.finds("bob", "b")
    done = await wxctl("fleet")
    row = done.stdout.splitlines()[-1].split()
    assert (done.returncode, row[:2], row[-3], row[-1]) == (0, ["b", "up"], "1", b.tls_url)
    assert await examined() == {"ok"}
    await a.accounts.start(parse_name("bob"), {}, {})
    await until(lambda: a.fleet.overview()["duplicates"])
    done = await wxctl("fleet")
    assert (done.returncode, "bob exists on more than one host: a, b" in done.stdout) == (1, True)
    assert await examined() == {"fail"}
    await a.accounts.remove("bob")
    await a.join(a.describe(b, url="https://127.0.0.2:9"))
    await a.sees("b", HostState.UNREACHABLE)
    done = await wxctl("fleet")
    assert (done.returncode, "unreachable" in done.stdout) == (1, True)
    assert await examined() == {"fail"}
    assert json.loads((await wxctl("fleet", "--json")).stdout)["hosts"][0]["name"] == "b"


async def test_owners_and_unowned_accounts_with_reasons_are_shown(owning: FleetMaker, tmp_path: Path) -> None:
    async with owning("a", "b", known=False) as fleet:
        a, b = fleet.hosts
        wxctl = partial(asyncio.to_thread, Wxctl(tmp_path, a.url, {"WXCTL_TOKEN": ROOT_TOKEN}))
        await b.start("eve")
        await until(lambda: "eve" in a.ownership.records.owners)
        done = await wxctl("fleet")
        rows = [line.split() for line in done.stdout.splitlines()]
        assert (done.returncode, ["b", "1", "100", "-", "-", "2.3.0"] in rows) == (0, True)
        assert rows[-1][:3] == ["eve", "b", "hold"]
        await b.lapse()
        await until(lambda: not a.ownership.records.owners)
        done = await wxctl("fleet")
        assert (done.returncode, "wxctl adopt eve" in done.stdout) == (1, True)
        await a.lapse()
        done = await wxctl("fleet")
        assert (done.returncode, "no lease" in done.stdout) == (1, True)
        found = json.loads((await wxctl("doctor", "--json")).stdout)
        assert {each["level"] for each in found if each["check"] == "fleet"} == {"fail"}
