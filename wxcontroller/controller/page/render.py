"""The page itself, rendered once for each language and choice of colours."""

from functools import cache
from itertools import product

import jinja2

from wxcontroller import __version__
from wxcontroller.controller.authentication import ANYBODY
from wxcontroller.controller.page.assets import Bundle, Served, served
from wxcontroller.controller.page.language import THEMES
from wxcontroller.core.catalog import LANGUAGES, translations
from wxcontroller.core.routes import ROUTES


def pages(bundle: Bundle) -> dict[tuple[str, str, bool], Served]:
    """Return the page by language, theme, and whether every local user may do everything."""
    found: dict[tuple[str, str, bool], Served] = {}
    for language in LANGUAGES:
        template = environment(language).get_template("dashboard.html.j2")
        for theme, is_open in product(THEMES, (False, True)):
            text = template.render(
                language=language,
                theme=theme,
                is_open=is_open,
                open_scope=ANYBODY.scope.value,
                root=f"page/{bundle.digest}",
                scripts=[*bundle.needed_by("main.js"), f"messages-{language}.js"],
                version=__version__,
                routes=ROUTES,
            )
            found[language, theme, is_open] = served(text.encode(), "text/html; charset=utf-8")
    return found


@cache
def small_page(name: str, language: str, theme: str, root: str) -> Served:
    """Return a page beside the dashboard; ``root`` leads from it to the assets.

    They are static: data of accounts come through the API, with its access checks.
    """
    text = environment(language).get_template(f"{name}.html.j2").render(language=language, theme=theme, root=root)
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
