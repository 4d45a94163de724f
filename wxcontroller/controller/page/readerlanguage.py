"""The language and the colours of the page for a reader."""

from aiohttp import web

from wxcontroller.core.text.catalog import LANGUAGES

THEMES = ("auto", "light", "dark")
# Set by the page's switches. They hold only this, and are not forwarded to accounts.
LANGUAGE_COOKIE = "wx-language"
THEME_COOKIE = "wx-theme"


def chosen_language(request: web.Request, here: str = "") -> str:
    """Return the language requested ``here`` or chosen before, else the browser's preferred one."""
    asked = [here, request.cookies.get(LANGUAGE_COOKIE, ""), *preferred(request.headers.get("Accept-Language", ""))]
    for each in asked:
        if each in LANGUAGES:
            return each
        main = each.partition("-")[0].lower()
        for language in LANGUAGES:
            if main == language.partition("-")[0]:
                return language
    return LANGUAGES[0]


def chosen_theme(request: web.Request) -> str:
    """Return the colours the reader has switched to; ``auto`` are those of the system."""
    found = request.cookies.get(THEME_COOKIE, "")
    return found if found in THEMES else THEMES[0]


def preferred(accept: str) -> list[str]:
    """Return the languages of an Accept-Language header by preference."""
    weighted: list[tuple[float, str]] = []
    for part in accept.split(",")[:20]:
        name, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            weight = 0.0
        if name and weight > 0:
            weighted.append((weight, name))
    return [name for _, name in sorted(weighted, key=lambda each: -each[0])]
