"""Rendering an account's environment file through the administrator's template."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from wxcontroller.core.config.envfile import parse, quote
from wxcontroller.core.errors import BadEnvironmentFile, TemplateError, reason_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry import account as fields_of
from wxcontroller.core.registry.account import Account, variables_of
from wxcontroller.core.text.templates import N_, Text

if TYPE_CHECKING:
    import jinja2


@functools.lru_cache(maxsize=1)
def compiled(source: str) -> "jinja2.Template":
    import jinja2.sandbox  # where a file is written: most starts find the account's, and wait for it

    environment = jinja2.sandbox.SandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["quote"] = quote
    return environment.from_string(source)


def render_account(account: Account, paths: Paths, template: Path) -> str:
    """Render an account through the admin's template and check that the result is one.

    Raises TemplateError, naming the template and the problem, if it cannot be rendered or its result is
    no longer this account, and BadOption for a value that no environment file can hold.
    """
    import jinja2  # see compiled

    variables = variables_of(account, paths)
    quoted = {key: quote(value) for key, value in variables.items()}
    try:
        source = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TemplateError(
            N_("account {account}: the template {template} cannot be read: {reason}"),
            N_("restore it from the package, or set template_path"),
            account=str(account.name),
            template=template,
            reason=reason_of(problem),
        ) from None
    try:
        rendered = compiled(source).render(
            account=account, name=account.name.name, instance=account.name.instance, variables=quoted
        )
        back = parse(rendered, str(template))
    except jinja2.TemplateError as problem:
        what = reason_of(problem)
        if isinstance(problem, jinja2.TemplateSyntaxError):
            what = Text("{problem} (line {line})", problem=what, line=problem.lineno)
        raise TemplateError(
            N_("account {account}: the template {template} fails: {problem}"),
            N_("correct the template"),
            account=str(account.name),
            template=template,
            problem=what,
        ) from None
    except BadEnvironmentFile as problem:
        raise TemplateError(
            N_("account {account}: {problem}"),
            N_("correct the template"),
            account=str(account.name),
            problem=reason_of(problem),
        ) from None
    for key in fields_of.REQUIRED:
        if back.get(key) != variables[key]:
            raise TemplateError(
                N_("account {account}: the template {template} omits {key}"),
                N_("keep the loop over `variables` in the template"),
                account=str(account.name),
                template=template,
                key=key,
            )
    return rendered
