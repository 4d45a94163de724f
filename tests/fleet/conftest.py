"""The built packages, as system tests have them."""

from tests.system.conftest import debs, fleet_debs

__all__ = ["debs", "fleet_debs"]
