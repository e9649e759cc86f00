"""Runs a module whose clock is stepped by hours, to and fro: `python -m tests.journeys.stepped_clock celery …`.

Only the wall clock of this process jumps; the database's and the monotonic clock stay as they are.
"""

from __future__ import annotations

import os
import random
import runpy
import sys
import threading
import time

import time_machine


def main() -> None:
    """Step until killed."""
    monotonic, sleep = time.monotonic, time.sleep
    dice = random.Random(int(os.environ.get("FAULT_SEED", "1")))
    traveller = time_machine.travel(time.time(), tick=True).start()
    began, offset = monotonic(), 0.0

    def step() -> None:
        nonlocal offset
        while True:
            sleep(dice.uniform(0.5, 3))
            jump = dice.choice((-7200, -3600, -30, 30, 3600, 7200))
            if abs(offset + jump) <= 7200:
                offset += jump
                traveller.shift(jump)

    threading.Thread(target=step, daemon=True).start()
    assert monotonic() - began < 60, "the monotonic clock must not jump"
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
