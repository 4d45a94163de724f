from tests.unit.client.conftest import start, webhook
from tests.unit.controller.conftest import host

__all__ = ["host", "start", "webhook"]
