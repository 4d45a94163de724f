"""The page itself, rendered once for each language and choice of colours."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import jinja2

from wxcontroller import __version__
from wxcontroller.controller.page.assets import Bundle, Served, served
from wxcontroller.controller.page.language import THEMES
from wxcontroller.core.catalog import LANGUAGES, translations
from wxcontroller.core.messages import N_


@dataclass(frozen=True, slots=True)
class Route:
    """A route to WeChat as "Add account" offers it; ``driver`` is the option's value."""

    driver: str
    name: str
    meaning: str


# The first one is preselected. docs/routes.md has more of each.
ROUTES = (
    Route(
        "ilink",
        N_("Official bot API (iLink)"),
        N_(
            "For WeChat 8.0.69 or newer (iOS: 8.0.70): the person who scans the code chats with a bot and writes "
            "first; about ten messages can follow each of theirs within 24 hours; no groups."
        ),
    ),
    Route(
        "web",
        N_("WeChat web"),
        N_(
            "For all friends and groups of the account; WeChat refuses most accounts registered since 2017, and "
            "warns or restricts some that log in."
        ),
    ),
    Route(
        "filehelper",
        N_("File Transfer (experimental)"),
        N_("Sends to and receives from your own chat File Transfer only; no limit on replies."),
    ),
)


def pages(bundle: Bundle) -> dict[tuple[str, str, bool], Served]:
    """Return the page by language, theme, and whether everybody on the machine may do everything."""
    found: dict[tuple[str, str, bool], Served] = {}
    for language in LANGUAGES:
        template = environment(language).get_template("dashboard.html.j2")
        for theme, is_open in product(THEMES, (False, True)):
            text = template.render(
                language=language,
                theme=theme,
                is_open=is_open,
                root=f"page/{bundle.digest}",
                scripts=[*bundle.needed_by("main.js"), f"messages-{language}.js"],
                version=__version__,
                routes=ROUTES,
            )
            found[language, theme, is_open] = served(text.encode(), "text/html; charset=utf-8")
    return found


@cache
def pair_page(language: str, theme: str, bundle: Bundle) -> Served:
    """Return the page on which an administrator approves an agent."""
    template = environment(language).get_template("pair.html.j2")
    text = template.render(language=language, theme=theme, root=f"page/{bundle.digest}")
    return served(text.encode(), "text/html; charset=utf-8")


def environment(language: str) -> jinja2.Environment:
    """Return what renders templates in a language."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("wxcontroller.controller.page"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    catalog = translations(language)
    # The extension has added this method.
    made.install_gettext_callables(catalog.gettext, catalog.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return made
