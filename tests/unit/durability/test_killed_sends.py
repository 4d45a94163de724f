"""A client that is killed with sends in its queue: each arrives once, in order, with one report."""

import base64
import contextlib
import hashlib
import sqlite3
from pathlib import Path

from aiohttp import web

from tests.patience import until
from tests.serving import serving
from tests.unit.durability.process import Process, processed
from wxcontroller.core.jsontypes import JsonObject, obj


async def queued(account: Process, *texts: str, to: str = "filehelper") -> None:
    for text in texts:
        answer = await account.send(text, to=to, later=True)
        assert answer == {"code": 0, "status": "request already in execution"}


async def reported(account: Process, number: int) -> list[JsonObject]:
    """Wait for so many reports of sends, and then stop: nothing else comes."""

    def sends(reports: list[JsonObject]) -> list[JsonObject]:
        return [report for report in reports if report.get("post_type") == "send_message"]

    await account.webhook.until(lambda _: len(sends(account.webhook.once())) >= number)
    await account.stop()
    return sends(account.webhook.once())


def picture(name: str) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + name.encode() * 500


def prepared(account: Process) -> list[str]:
    """Return the files of sends that are prepared: they need no second fetch."""
    with contextlib.closing(sqlite3.connect(account.paths.state("alice") / "events.db")) as db:
        return [str(file) for (file,) in db.execute("SELECT file FROM parcels WHERE file != ''")]


async def test_media_of_every_origin_outlast_a_kill(tmp_path: Path) -> None:
    """Content, a file that is deleted meanwhile, an address that is asked once, and what WeChat has already."""
    asked: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=picture("address"), content_type="image/png")

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "file.png").write_bytes(picture("file"))
    options = {
        "WXCLIENT_MEDIA_PATHS": str(pictures),
        "WXCLIENT_MEDIA_PRIVATE_URLS": "1",
        "MOJO_WEIXIN_SEND_INTERVAL": "60",
    }
    async with serving(serve) as port, processed(tmp_path, **options) as account:
        await account.start(login=True)
        uploaded = obj(await account.post("upload_media", picture("id")))
        await queued(account, "first")
        await account.until_arrived(1)
        for answer in (
            await account.send(data=picture("data"), later=True),
            await account.send(later=True, media_path=str(pictures / "file.png")),
            await account.send(later=True, media_path=f"http://127.0.0.1:{port}/web.png"),
            await account.send(later=True, media_id=str(uploaded["media_id"])),
            await account.send(data=picture("all"), to="@all"),
        ):
            assert answer["code"] == 0
        everybody = int(str(obj((await account.get_v1())["roster"])["contacts"]))
        media = account.paths.media("alice")
        await until(lambda: len(list(media.glob(".send.*"))) == 4 and len(prepared(account)) == 4)
        await account.kill()
        (pictures / "file.png").unlink()
        account.environ["MOJO_WEIXIN_SEND_INTERVAL"] = "0"
        await account.start()
        reports = await reported(account, 5 + everybody)
        assert len(reports) == 5 + everybody
        names = {hashlib.md5(picture(one), usedforsecurity=False).hexdigest(): one for one in ORIGINS}
        arrived = [(names[sent.item.md5], sent.to_username) for sent in account.account.sent if sent.item]
        assert len(arrived) == len(set(arrived)) == sum(report["code"] == "" for report in reports) - 1
        assert [name for name, to in arrived if name != "all"] == ["data", "file", "address", "id"]
        assert sum(name == "all" for name, _ in arrived) > 30
        assert {report["code"] for report in reports} == {
            "",
            1204,
        }  # some are nobody's friends: WeChat's own accounts
        assert {base64.b64decode(str(report["media_data"]))[8:12] for report in reports[1:]} == DATA
        assert asked == ["/web.png"]
        assert list(media.iterdir()) == []


ORIGINS = ("data", "file", "address", "id", "all")
# Media that WeChat already has are not in the report.
DATA = {b"data", b"file", b"addr", b"alla", b""}
