"""What the cases share."""

from tests.delivery.conftest import run

__all__ = ["run"]
