"""A migration that takes the index away which a foreign key has by itself, where another index begins with its column.

Invariant: only the index goes. The constraint stays as it is, and no table is made anew: on SQLite its triggers would be
lost with it.
"""

from __future__ import annotations

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState
from django.db.models import Model


class DropIndexOf(AlterField):
    """For the project's state an AlterField to `db_index=False`; the database loses the index alone."""

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
