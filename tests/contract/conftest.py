from tests.unit.controller.conftest import host

__all__ = ["host"]
