"""`script/bench growth`: what a new message costs where a few are stored already, and where very many are.

Two installations stand side by side and take turns, slice by slice, so that whatever else the machine does meanwhile
weighs on both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import IO

from bench.instance import ROOT, Instance
from bench.panel_rows import fill
from bench.table import median, table

FEW = 10_000  # messages that are stored already, on the one side
SLICE = 200  # messages
WARM, TIMES = 4, 40  # slices
GOAL = 1.2  # times the cost, at most
STEPS = {"listed": "listed", "stored": "parsed, stored, threaded, linked", "searchable": "text-searchable"}


class Side:
    """One installation with `count` messages, and its process."""

    def __init__(self, stack: ExitStack, count: int) -> None:
        instance = stack.enter_context(Instance())
        fill(instance, count)
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "bench.growth_slices", str(SLICE), str(WARM + TIMES)],
                env={**os.environ, **instance.environment, "DJANGO_SETTINGS_MODULE": "crm_mail.settings"},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(self._end)
        self.wall: list[dict[str, float]] = []
        self.cpu: list[dict[str, float]] = []
        self._said()
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            instance.server.execute(statement, database="crm_mail")

    def slice(self) -> None:
        """Store one slice."""
        given = _open(self.process.stdin)
        given.write("\n")
        given.flush()
        spent = json.loads(self._said())
        self.wall.append(spent["wall"])
        self.cpu.append(spent["cpu"])

    def cost(self, step: str, of: str) -> float:
        """Milliseconds per message of a step, the median of all slices; `of`: wall | cpu."""
        return median([one[step] for one in getattr(self, of)[WARM:]]) / SLICE * 1000

    def _said(self) -> str:
        line = _open(self.process.stdout).readline()
        if not line:
            raise RuntimeError("a process of the bench ended")
        return line

    def _end(self) -> None:
        _open(self.process.stdin).close()
        self.process.wait(60)


def run(count: int) -> bool:
    """Prints the table; False when a message costs more than `GOAL` times as much among `count`."""
    with ExitStack() as stack:
        few, many = Side(stack, FEW), Side(stack, count)
        for _ in range(WARM + TIMES):
            few.slice()
            many.slice()
    rows = []
    for step, said in STEPS.items():
        costs = [side.cost(step, of) for of in ("wall", "cpu") for side in (few, many)]
        rows.append((said, *costs[:2], costs[1] / costs[0], *costs[2:]))
    total = [sum(side.cost(step, "wall") for step in STEPS) for side in (few, many)]
    processor = [sum(side.cost(step, "cpu") for step in STEPS) for side in (few, many)]
    rows.append(("together", *total, total[1] / total[0], *processor))
    columns = ("ms per message", f"among {FEW:,}", f"among {count:,}", "ratio", "processor", "processor")
    print(table(f"What a new message costs ({TIMES} slices of {SLICE}, real sizes)", columns, rows))  # noqa: T201
    is_kept = total[1] <= GOAL * total[0]
    print(f"\nThe cost grows by {'less' if is_kept else 'MORE'} than {GOAL} times.")  # noqa: T201
    return is_kept


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process has no pipe")
    return pipe
