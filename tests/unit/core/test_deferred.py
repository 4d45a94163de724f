"""Modules that are executed at their first use: what a program sees of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_LATE = """
print("executed")
VALUE = 3
def double(number):
    return 2 * number
class Shape:
    SIDES = 4
    def __init__(self, size=1):
        self.size = size
"""
_CIRCLE = "import late\ndef ask():\n    return late.VALUE\n"


def said(place: Path, program: str) -> list[str]:
    """Return the lines that a program prints which has ``late`` deferred."""
    (place / "late.py").write_text(_LATE)
    (place / "circle.py").write_text(_CIRCLE)
    begin = "from wxcontroller.core import deferred\ndeferred.install({'late': NAMES})\n"
    done = subprocess.run(
        [sys.executable, "-c", begin.replace("NAMES", repr("double Shape")) + program],
        env={"PYTHONPATH": f"{ROOT}:{place}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split("\n")[:-1]


def test_a_module_is_executed_at_its_first_use_and_once(tmp_path: Path) -> None:
    program = """
import late
from late import double, Shape
def area(shape: Shape | None = None) -> "Shape": ...
print("imported", hasattr(late, "__path__"))
print(double(4), Shape(2).size, late.VALUE, late.double is not double, late.double(1))
import importlib; print(importlib.import_module("late") is late, late.__spec__.loader is late.__loader__)
"""
    # An annotation with | needs the class; without one the module waits longer.
    assert said(tmp_path, program) == ["executed", "imported False", "8 2 3 True 2", "True True"]
    program = program.replace("Shape | None", "Shape")
    assert said(tmp_path, program) == ["imported False", "executed", "8 2 3 True 2", "True True"]


def test_threads_wait_for_a_module_that_another_executes(tmp_path: Path) -> None:
    program = """
import threading
from late import double
import late
found = []
def use():
    ready.wait(60)
    found.append(late.VALUE + double(1))
ready = threading.Barrier(9)
threads = [threading.Thread(target=use) for _ in range(8)]
for each in threads: each.start()
ready.wait(60)
for each in threads: each.join(60)
print(found == [5] * 8)
"""
    assert said(tmp_path, program) == ["executed", "True"]


def test_a_module_that_fails_fails_again(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise OSError('no')")
    program = """
deferred.install({"broken": ""})
import broken
for _ in range(2):
    try:
        broken.something
    except OSError as failure:
        print(failure)
"""
    assert said(tmp_path, program) == ["no", "no"]


def test_what_stands_in_for_parts_of_python_gives_the_same_answers() -> None:
    program = """
from wxcontroller.core import lean
lean.prepare()
import calendar, html, inspect, time, asyncio, functools
def waits(module):
    return type(module).__name__ == "Unloaded"
moments = [(1970, 1, 1, 0, 0, 0), (2026, 11, 27, 23, 59, 60), (2024, 2, 29, 1, 2, 3), (9999, 12, 31, 0, 0, 0)]
light = [calendar.timegm(each) for each in moments]
async def one(): ...
def other(): ...
class Has:
    async def method(self): ...
    def plain(self): ...
functions = [one, other, Has().method, Has().plain, Has.method]
coroutines = [inspect.iscoroutinefunction(each) for each in functions]
texts = ["a &amp; b &lt;i&gt; &#39;&quot;", "&amp;lt; &#x4f60;"]
plain = [html.unescape(each) for each in texts]
entities = __import__("html.entities").entities
print(waits(calendar), waits(inspect), waits(entities))
rare = [functools.partial(one), 3, print]
coroutines += [inspect.iscoroutinefunction(each) for each in rare]
print(coroutines == [inspect.iscoroutinefunction(each) for each in functions + rare], coroutines)
calendar.monthrange(2024, 2)
print(waits(calendar), light == [calendar.timegm(each) for each in moments])
print(html.unescape("&euro;&nosuch;&notit;"), waits(entities), plain == [html.unescape(each) for each in texts])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "True True True",
        "True [True, False, True, False, True, True, False, False]",
        "False True",
        "€&nosuch;¬it; False True",
    ]
