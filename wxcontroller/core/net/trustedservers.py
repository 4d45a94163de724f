"""The trusted TLS servers: those of the system's authorities, and of the option ca_file."""

import ssl

from wxcontroller.core.errors import BadOption, reason_of
from wxcontroller.core.text.templates import N_


def client_context(ca_file: str) -> ssl.SSLContext | None:
    """Return the settings for connections that also trust the authorities in ``ca_file``.

    None without one: then the HTTP library's shared context is used, because each context costs memory. Raises
    BadOption for a file that cannot be used.
    """
    if not ca_file:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as problem:
        raise BadOption(
            N_("option ca_file: {ca_file} cannot be used: {problem}"),
            N_("name a readable file of PEM certificates"),
            ca_file=ca_file,
            problem=reason_of(problem),
        ) from None
    return context
