"""The same controller and client as tests/unit/api has."""

from tests.unit.api.conftest import api, app, clock, controller, fabric

__all__ = ["api", "app", "clock", "controller", "fabric"]
