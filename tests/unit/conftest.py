"""Fixtures for several parts."""

import aiohttp
import pytest


@pytest.fixture(params=["known", "other"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with a version of aiohttp whose undocumented parts are used for requests, and with another one."""
    if request.param == "other":
        monkeypatch.setattr(aiohttp, "__version__", "999.0.1")
