"""The page itself, rendered once for each language and choice of colours that a request wants."""

from functools import cache
from typing import TYPE_CHECKING

from wxcontroller import __version__
from wxcontroller.controller.callers.authentication import ANYBODY
from wxcontroller.controller.page.assets import Served, bundle, served
from wxcontroller.core.config.routechoice import ROUTES
from wxcontroller.core.text.catalog import translations

if TYPE_CHECKING:
    import jinja2


@cache
def dashboard(language: str, theme: str, is_open: bool) -> Served:
    """Return the dashboard. ``is_open``: every local user may do everything."""
    assets = bundle()
    text = (
        environment(language)
        .get_template("dashboard.html.j2")
        .render(
            language=language,
            theme=theme,
            is_open=is_open,
            open_scope=ANYBODY.scope.value,
            root=f"page/{assets.digest}",
            scripts=[*assets.needed_by("main.js"), f"messages-{language}.js"],
            version=__version__,
            routes=ROUTES,
        )
    )
    return served(text.encode(), "text/html; charset=utf-8")


@cache
def small_page(name: str, language: str, theme: str, root: str) -> Served:
    """Return a page beside the dashboard; ``root`` leads from it to the assets.

    They are static: data of accounts come through the API, with its access checks.
    """
    text = environment(language).get_template(f"{name}.html.j2").render(language=language, theme=theme, root=root)
    return served(text.encode(), "text/html; charset=utf-8")


@cache
def environment(language: str) -> "jinja2.Environment":
    """Return what renders templates in a language, and keeps them compiled."""
    import jinja2  # imported here, because most starts of a controller are not followed by a look at its page

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
