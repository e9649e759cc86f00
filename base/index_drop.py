"""Migrations that take from a foreign key what costs a download time and brings nothing: the index which it has by itself,
where another index begins with its column, or the constraint, where the row reaches the same row by another one.

Invariant: nothing else goes, and no table is made anew: on SQLite its triggers would be lost with it. There a constraint
stays (it costs nothing that was ever seen).
"""

from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model


class _OfAKey(Operation):
    """`option` of the foreign key `name` of a model becomes False."""

    option = ""

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name, self.name = model_name, name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The field without it."""
        field = state.models[app_label, self.model_name].fields[self.name].clone()
        setattr(field, self.option, False)
        state.alter_field(app_label, self.model_name, self.name, field, preserve_default=True)

    def _model(self, apps: Apps, app_label: str) -> type[Model]:
        return apps.get_model(app_label, self.model_name)

    def _constraints(self, schema_editor: BaseDatabaseSchemaEditor, model: type[Model]) -> dict[str, Any]:
        """Indexes and constraints on this column alone, by name."""
        column = getattr(model._meta.get_field(self.name), "column", None)
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
        return {name: one for name, one in found.items() if one["columns"] == [column]}


class DropIndexOf(_OfAKey):
    """The foreign key `name` of a model gets `db_index=False`; of the database only the index is asked to go."""

    option = "db_index"

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop every index that is on this column alone and is not named in the model."""
        model = self._model(to_state.apps, app_label)
        kept = {index.name for index in model._meta.indexes}
        for name, one in self._constraints(schema_editor, model).items():
            if one["index"] and not one["unique"] and name not in kept:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Make it again."""
        model = self._model(to_state.apps, app_label)
        made = schema_editor._create_index_sql(model, fields=[model._meta.get_field(self.name)])  # type: ignore[attr-defined]
        schema_editor.execute(made)

    def describe(self) -> str:
        """For the list of a migration's steps."""
        return f"Drop the index of {self.name} on {self.model_name}"


class DropConstraintOf(_OfAKey):
    """The foreign key `name` of a model gets `db_constraint=False`; PostgreSQL no longer looks the row up."""

    option = "db_constraint"

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop the constraint; of SQLite's table it is a part."""
        if schema_editor.connection.vendor == "sqlite":
            return
        model = self._model(to_state.apps, app_label)
        for name, one in self._constraints(schema_editor, model).items():
            if one["foreign_key"]:
                schema_editor.execute(schema_editor._delete_fk_sql(model, name))  # type: ignore[attr-defined]

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Make it again."""
        if schema_editor.connection.vendor == "sqlite":
            return
        model = self._model(to_state.apps, app_label)
        made = schema_editor._create_fk_sql(  # type: ignore[attr-defined]
            model, model._meta.get_field(self.name), "_fk_%(to_table)s_%(to_column)s"
        )
        schema_editor.execute(made)

    def describe(self) -> str:
        """For the list of a migration's steps."""
        return f"Drop the constraint of {self.name} on {self.model_name}"
