"""The dashboard's page is in the language of its reader, and its scripts are served whole."""

import re
from pathlib import Path

import pytest

from tests.unit.controller.machine import Machine
from wxcontroller.controller import page as scripts


def sources(kind: str) -> dict[str, str]:
    """Return the scripts or the style sheets by name."""
    found = Path(scripts.__path__[0], "static").glob(f"*.{kind}")
    return {path.name: path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "zh-CN"),
        ({"Accept-Language": "zh;q=x;;,,=, "}, "en"),
        ({"Accept-Language": "zh-CN", "Cookie": "wx-language=en"}, "en"),
        ({"Cookie": "wx-language=zh-CN"}, "zh-CN"),
        ({"Cookie": 'wx-language="><script>'}, "en"),
    ],
)
async def test_the_language_is_the_readers(host: Machine, headers: dict[str, str], language: str) -> None:
    async with host.http.get("/", headers=headers) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        text = await answer.text()
    assert f'<html lang="{language}"' in text
    assert (">账号</h1>" in text) == (language == "zh-CN")
    assert f"messages-{language}.js" in text


async def test_scripts_are_served_whole_without_their_comments(host: Machine) -> None:
    """What looks like a comment inside a template string is none, and line numbers stay those of the source."""
    async with host.http.get("/") as answer:
        root = re.findall(r"page/[0-9a-f]{16}", await answer.text())[0]
    for name, source in sources("js").items():
        async with host.http.get(f"/{root}/{name}") as answer:
            served = await answer.text()
        before = ""
        for written, sent in zip(source.split("\n"), served.split("\n"), strict=True):
            is_comment = written.lstrip().startswith("//")
            assert sent == ("" if is_comment else written), name
            assert not is_comment or before.count("`") % 2 == 0, name
            before += sent
    for name, source in sources("css").items():
        async with host.http.get(f"/{root}/{name}") as answer:
            served = await answer.text()
        assert served == re.sub(r"/\*[^*\n]*\*/", "", source), name
        assert "/*" not in served, name
