"""The mailbox on the in-memory server, as the tests of sync have it."""

from tests.sync.conftest import make_world, world

__all__ = ["make_world", "world"]
