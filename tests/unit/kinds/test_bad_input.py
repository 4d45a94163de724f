"""Broken and hostile messages are reported, and have no other effect."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.kinds.stage import Stage, staged
from wxcontroller.core.jsontypes import JsonObject, items, obj, text

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("alice")) as running:
        yield running


def left(stage: Stage) -> list[str]:
    """Files in the directory of media that are unfinished."""
    directory = stage.client.paths.media("alice")
    return [path.name for path in directory.glob(".*")] if directory.exists() else []


def stored(report: JsonObject) -> tuple[bytes, int]:
    """The content of a report's media_path, and who may read it."""
    path = Path(text(report["media_path"]))
    return path.read_bytes(), path.stat().st_mode & 0o777


NONSENSE = (
    "",
    "&lt;",
    "&lt;msg&gt;&lt;appmsg&gt;&lt;title&gt;half",
    "&lt;msg&gt;" * 5000,
    '&lt;!DOCTYPE x [&lt;!ENTITY a "aaaa"&gt;]&gt;&lt;msg&gt;&amp;a;&lt;/msg&gt;',
    f"&lt;?xml version='1.0' encoding='{'x' * 300}'?&gt;&lt;msg/&gt;",
    "\x00\x01\x1b[31m\ud7ff\ufffe",
    "&lt;msg" + " a='&amp;#x0;'" * 100,
    "]]&gt;&lt;/sysmsg&gt;&lt;sysmsg type='revokemsg'&gt;&lt;revokemsg&gt;&lt;msgid&gt;-1",
)


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
async def test_malformed_xml_of_every_type_is_reported(stage: Stage, content: str) -> None:
    for kind in (1, 3, 34, 42, 43, 47, 48, 49, 10000, 10002):
        fields: JsonObject = {"FileName": content, "Url": content, "FileSize": "x", "OriContent": content}
        report = await stage.receive(kind="raw", msg_type=kind, text=content, fields=fields)
        assert report["post_type"] in ("receive_message", "send_message")
        assert report["format"]
    assert left(stage) == []


@pytest.mark.parametrize(
    ("name", "shown", "suffix"),
    [
        ("../../../../etc/passwd", "passwd", ".dat"),
        ("..\\..\\windows\\evil.exe", "evil.exe", ".exe"),
        ("/etc/cron.d/x", "x", ".dat"),
        ("a\x00b\x1b[31m\n\u202egpj.exe", "ab[31mgpj.exe", ".exe"),
        ("长" * 300 + ".docx", "长" * 115 + ".docx", ".docx"),
        ("." * 300, "", ".dat"),
        ("x." + "y" * 300, "x." + "y" * 118, ".dat"),
        ("-rf.sh; rm $(x).pdf", "-rf.sh; rm $(x).pdf", ".pdf"),
    ],
)
async def test_names_of_files(stage: Stage, name: str, shown: str, suffix: str) -> None:
    report = await stage.receive(kind="file", name=name, content="aGVsbG8=")
    path = Path(text(report["media_path"]))
    assert report["media_name"] == shown
    assert (path.parent, path.suffix) == (stage.client.paths.media("alice"), suffix)
    assert path.name.startswith("mojo_weixin_media_")
    assert stored(report) == (b"hello", 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_no_bad_input_ended_the_session(stage: Stage) -> None:
    assert len([event for event in stage.webhook.events("state_change") if items(event)[1] == "running"]) == 1
    assert obj(await stage.call("get_client_info"))["code"] == 0
