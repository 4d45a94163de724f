"""A new route is a package in ``drivers``, a word of the option and a choice of the page."""

import ast
from pathlib import Path

from wxcontroller.controller.page.render import ROUTES as OFFERED
from wxcontroller.core.options import OPTIONS, Choice
from wxcontroller.drivers import ROUTES

PACKAGE = Path(__file__).parents[2] / "wxcontroller"


def test_option_and_page_offer_all_routes() -> None:
    words = OPTIONS["driver"].check
    assert isinstance(words, Choice)
    assert set(words.allowed) == {route.driver for route in OFFERED} == set(ROUTES)


def test_driver_reads_exactly_its_routes_options() -> None:
    for name, route in ROUTES.items():
        read = {
            node.value
            for part in (name, "connection")  # which all routes share
            for path in (PACKAGE / "drivers" / part).rglob("*.py")
            if path.parent.name != "decode"  # where the same words are fields of contacts
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in OPTIONS
        }
        if name == "filehelper":  # the web route's driver, on which it is based, reads the others
            assert read <= route.options <= ROUTES["web"].options
        else:
            assert read == route.options, name
