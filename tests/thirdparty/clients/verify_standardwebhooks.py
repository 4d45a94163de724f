"""Verifies deliveries with the reference library, unmodified: JSON {secret, headers, body} on standard input."""

import json
import sys

sys.path.insert(0, sys.argv[1])
from standardwebhooks import Webhook, WebhookVerificationError  # type: ignore[import-not-found]

for line in sys.stdin:
    given = json.loads(line)
    try:
        Webhook(given["secret"]).verify(given["body"], given["headers"])
        print("verified")
    except WebhookVerificationError as problem:
        print(problem)
