"""Worlds for the contract: each is a mailbox, the hands of another client in it, and its folders' names."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.drivers.contract")
