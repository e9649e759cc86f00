"""Functions that misbehave, for the tests of base.jail."""

from __future__ import annotations

import os
import sys
import time


def echo(payload: bytes) -> bytes:
    return payload


def loop(payload: bytes) -> bytes:
    while True:
        pass


def sleep(payload: bytes) -> bytes:
    time.sleep(60)
    return payload


def eat(payload: bytes) -> bytes:
    return bytes(2_000_000_000)


def fail(payload: bytes) -> bytes:
    raise ValueError(payload)


def die(payload: bytes) -> bytes:
    os._exit(0)


def noisy(payload: bytes) -> bytes:
    sys.stdout.write("noise")
    sys.stdout.flush()
    return payload


def environment(payload: bytes) -> bytes:
    sys.stdout.flush()
    return repr(dict(os.environ)).encode()
