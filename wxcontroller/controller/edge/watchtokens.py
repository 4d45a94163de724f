"""Watching the tokens between requests, for the accounts' ports."""

import asyncio
import logging
import ssl

from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.callers.authentication import Gate
from wxcontroller.core.access.porttokens import publish
from wxcontroller.core.access.tokenfile import Tokens
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import Text

log = logging.getLogger(__name__)
_HELP = "df, and systemd-tmpfiles --create wxcontroller.conf, which creates the directory"


async def watch_tokens(paths: Paths, gate: Gate, accounts: Accounts) -> None:
    """Keep the accounts' token data up to date after any change of the tokens. Runs until cancelled.

    ``wxctl token`` writes both; this is for files that were restored, copied or edited.
    """
    published: Tokens | None = None
    complaint = ""
    while True:
        tokens = gate.tokens
        if tokens is not published:
            try:
                await asyncio.to_thread(publish, paths, tokens)
                published, complaint = tokens, ""
            except OSError as problem:
                if str(problem) != complaint:
                    log.error("cannot publish the tokens for the accounts' ports: %s; see %s", problem, _HELP)
                complaint = str(problem)
        await asyncio.sleep(accounts.settings.check_interval)


def warnings_of(gate: Gate, settings: Settings, tls: ssl.SSLContext | None) -> tuple[Text, ...]:
    """Return notices for the administrator about access to the API."""
    texts: list[Text] = []
    if gate.exposed and tls is None:
        texts.append(
            Text(
                "other machines reach the API without TLS, so tokens and messages can be read in "
                "transit; set tls_certificate and tls_key, or use a reverse proxy"
            )
        )
    if settings.allow_hosts and gate.is_open:
        texts.append(
            Text(
                "allow_hosts allows other host names and there is no token: everyone behind "
                "the reverse proxy has full access; create a token: wxctl token create NAME --scope admin"
            )
        )
    return tuple(texts)
