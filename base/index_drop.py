"""A migration that takes the index away which a foreign key has by itself, where another index begins with its column.

Invariant: only the index goes. The constraint stays as it is, and no table is made anew: on SQLite its triggers would be
lost with it.
"""

from __future__ import annotations

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model


class DropIndexOf(Operation):
    """The foreign key `name` of a model gets `db_index=False`; of the database only the index is asked to go."""

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name, self.name = model_name, name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The field without its index."""
        field = state.models[app_label, self.model_name].fields[self.name].clone()
        field.db_index = False
        state.alter_field(app_label, self.model_name, self.name, field, preserve_default=True)

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop every index that is on this column alone and is not named in the model."""
        model = self._model(to_state.apps, app_label)
        column = getattr(model._meta.get_field(self.name), "column", None)
        kept = {index.name for index in model._meta.indexes}
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
        for name, one in found.items():
            if one["index"] and not one["unique"] and one["columns"] == [column] and name not in kept:
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

    def _model(self, apps: Apps, app_label: str) -> type[Model]:
        return apps.get_model(app_label, self.model_name)
