"""Modules that are executed at their first use: what a program sees of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


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
