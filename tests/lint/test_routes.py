"""A route is added in ``drivers``, as a word of the option and a choice of the page; nothing else knows its name."""

import ast
import re
from pathlib import Path

from wxcontroller.controller.page.render import ROUTES as OFFERED
from wxcontroller.core.options import OPTIONS, Choice
from wxcontroller.drivers import ROUTES

PACKAGE = Path(__file__).parents[2] / "wxcontroller"


def test_the_option_and_the_page_offer_the_routes_there_are() -> None:
    words = OPTIONS["driver"].check
    assert isinstance(words, Choice)
    assert set(words.allowed) == {route.driver for route in OFFERED} == set(ROUTES)


def test_a_driver_reads_the_options_that_its_route_declares_and_no_other() -> None:
    for name, route in ROUTES.items():
        read = {
            node.value
            for part in (name, "line")  # all routes share the line's
            for path in (PACKAGE / "drivers" / part).rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and node.value in OPTIONS
        }
        if name == "filehelper":  # the rest is read by the web route's driver, which it is made from
            assert read <= route.options <= ROUTES["web"].options
        else:
            assert read == route.options, name


def test_nothing_above_the_drivers_asks_which_route_it_is() -> None:
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
