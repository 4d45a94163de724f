"""The dashboard's page is in the language of its reader."""

import pytest

from tests.unit.controller.machine import Machine


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
async def test_language_follows_the_reader(host: Machine, headers: dict[str, str], language: str) -> None:
    async with host.http.get("/", headers=headers) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        text = await answer.text()
    assert f'<html lang="{language}"' in text
    assert (">账号</h1>" in text) == (language == "zh-CN")
    assert f"messages-{language}.js" in text
