"""The dashboard's page: both languages, and a strict content security policy."""

import re
from collections.abc import Mapping

import pytest

from tests.unit.controller.machine import Machine


async def page(host: Machine, headers: Mapping[str, str] | None = None) -> str:
    async with host.http.get("/", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return await answer.text()


async def test_nothing_is_inline_and_nothing_from_elsewhere(host: Machine) -> None:
    async with host.http.get("/") as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in policy
    assert re.search(r"<[^>]*\s(on\w+|style)=|<script>|<style>", text) is None  # the policy would not let it run
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert re.fullmatch(r"page/api|page/[0-9a-f]{16}/[\w.-]+|#[\w/]*", address), address


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
    text = await page(host, headers)
    assert f'<html lang="{language}"' in text
    assert (">账号</h1>" in text) == (language == "zh-CN")
    assert f"messages-{language}.js" in text
