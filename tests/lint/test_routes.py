"""A new route is a package in ``drivers``, a word of the option and a choice of the page; no other code names it."""

import ast
import re
from pathlib import Path

from wxcontroller.controller.page.render import ROUTES as OFFERED
from wxcontroller.core.options import OPTIONS, Choice
from wxcontroller.drivers import ROUTES

PACKAGE = Path(__file__).parents[2] / "wxcontroller"


def test_option_and_page_offer_all_routes() -> None:
    words = OPTIONS["driver"].check
    assert isinstance(words, Choice)
    assert set(words.allowed) == {route.driver for route in OFFERED} == set(ROUTES)


def test_driver_reads_exactly_the_options_its_route_declares() -> None:
    for name, route in ROUTES.items():
        read = {
            node.value
            for part in (name, "connection")  # which all routes share
            for path in (PACKAGE / "drivers" / part).rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in OPTIONS
        }
        if name == "filehelper":  # the web route's driver, on which it is based, reads the others
            assert read <= route.options <= ROUTES["web"].options
        else:
            assert read == route.options, name


def test_no_code_outside_drivers_compares_route_names() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in ("drivers", "sandbox"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Compare():
                    compared: list[ast.expr] = [node.left, *node.comparators]
                case ast.MatchValue():
                    compared = [node.value]
                case _:
                    continue
            constants = [one.value for side in compared for one in ast.walk(side) if isinstance(one, ast.Constant)]
            wrong += [f"{path.relative_to(PACKAGE)}:{compared[0].lineno}" for one in constants if one in ROUTES]
    names = "|".join(ROUTES)
    for path in sorted((PACKAGE / "controller/page/static").glob("*.js")):
        if re.search(
            rf"[!=]==? *[\"'](?:{names})[\"']|[\"'](?:{names})[\"'] *[!=]==?", path.read_text(encoding="utf-8")
        ):
            wrong.append(path.name)
    assert wrong == []
