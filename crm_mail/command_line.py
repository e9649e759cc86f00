"""The command line around Django's: a database that was never prepared is said in a sentence, not in a traceback."""

from __future__ import annotations

import sys

from django.core.management import execute_from_command_line
from django.db import DEFAULT_DB_ALIAS, OperationalError, ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor

NOT_PREPARED = (
    "The database is not prepared for this version: run `script/manage prepare` (script/start does it by itself), "
    "then this again. Nothing was changed."
)


def run(arguments: list[str]) -> None:
    """Run a management command. Exits with 1 and a sentence when migrations are missing; other errors are raised."""
    try:
        execute_from_command_line(arguments)
    except (OperationalError, ProgrammingError) as error:
        if not _lacks_migrations():
            raise
        sys.exit(f"{NOT_PREPARED}\n({str(error).splitlines()[0]})")


def _lacks_migrations() -> bool:
    try:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except (OperationalError, ProgrammingError):
        return False
