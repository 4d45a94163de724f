"""Deliveries as the reference library of Standard Webhooks verifies them."""

import time

import pytest

from tests.programs import fetched
from tests.unit.client import webhook as receiver
from tests.unit.client.conftest import POST_API, Start, start, webhook  # noqa: F401
from tests.unit.client.scripted import message
from wxcontroller.client.deliveries.signatures import signatures
from wxcontroller.core.registry.webhooksecrets import standard_form

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_library_accepts_deliveries_and_rejects_old_or_changed_ones(
    webhook: receiver.Webhook,  # noqa: F811
    start: Start,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a secret changes, receivers with either secret accept what is delivered."""
    monkeypatch.syspath_prepend(str(fetched("standardwebhooks")))
    from standardwebhooks import Webhook, WebhookVerificationError  # type: ignore[import-not-found]

    client = start(**{POST_API: webhook.address, "WXCLIENT_WEBHOOK_SECRET": f"{WHSEC} old-secret"})
    await client.login()
    client.driver.play([message("早")])
    [(sent, content)] = await webhook.tries(1)
    headers, body = {name.lower(): value for name, value in sent.items()}, content.decode()
    for secret in (WHSEC, standard_form("old-secret")):
        Webhook(secret).verify(body, headers)
    # The last one was recorded and is sent again ten minutes later.
    replayed = signatures([WHSEC], "1-1", str(int(time.time()) - 600), content)
    for secret, changed_body, changed_headers, reason in (
        (standard_form("another"), body, headers, "signature"),
        (WHSEC, body + " ", headers, "signature"),
        (WHSEC, body, {**headers, "webhook-id": "1-2"}, "signature"),
        (WHSEC, body, {**headers, **replayed}, "old"),
    ):
        with pytest.raises(WebhookVerificationError, match=reason):
            Webhook(secret).verify(changed_body, changed_headers)
