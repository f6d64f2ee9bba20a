"""Says which operations of a migration the release before it could not live with, while both run on one schema.

A release adds (expands); what it replaces is taken away (contracted) by a later one, when no running code uses it any
more. That cannot be read from the migration, so one that contracts says so itself: `contracts = "why nobody needs it"`
in its class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.constraints import BaseConstraint
from django.db.models.fields import NOT_PROVIDED


def can_be_left_out(field: models.Field) -> bool:
    """Whether an INSERT that does not know the column works: code of the release before writes such ones."""
    if isinstance(field, models.ManyToManyField) or getattr(field, "generated", False):
        return True
    return bool(field.null) or field.db_default is not NOT_PROVIDED or field.primary_key


def key(app_label: str, name: str) -> tuple[str, str]:
    """A model's key in a migration's state."""
    return app_label, name.lower()


def problem(operation: Operation, app_label: str, state: ProjectState, made: set[tuple[str, str]]) -> str:
    """What the release before could not live with in `operation`; empty for nothing that can be told.

    `state` is the schema before it, `made` the models that this run of migrations makes: no older code knows them.
    """
    match operation:
        case migrations.DeleteModel():
            return f"deletes the table of {operation.name}"
        case migrations.RenameModel():
            return f"renames {operation.old_name}"
        case migrations.AlterModelTable():
            return f"renames the table of {operation.name}"
    model = getattr(operation, "model_name", "") or getattr(operation, "name", "")
    if key(app_label, model) in made:
        return ""
    match operation:
        case migrations.RemoveField():
            return f"removes {operation.model_name}.{operation.name}"
        case migrations.RenameField():
            return f"renames {operation.model_name}.{operation.old_name}"
        case migrations.AddField() if not can_be_left_out(operation.field):
            return f"adds {operation.model_name}.{operation.name}, which is neither nullable nor has a db_default"
        case migrations.AlterField():
            found = state.models.get(key(app_label, operation.model_name))
            old = found.fields.get(operation.name) if found else None
            if old is not None and old.null and not operation.field.null:
                return f"makes {operation.model_name}.{operation.name} NOT NULL"
            shorter = getattr(operation.field, "max_length", None)
            longer = getattr(old, "max_length", None)
            if shorter is not None and longer is not None and shorter < longer:
                return f"shortens {operation.model_name}.{operation.name} from {longer} to {shorter}"
        case AddIndexConcurrently() | AddConstraintNotValid():
            return ""
        case migrations.AddConstraint() if isinstance(operation.constraint, BaseConstraint):
            return f"adds the constraint {operation.constraint.name}, which the release before does not know to keep"
        case migrations.AlterUniqueTogether() if operation.unique_together:
            return f"makes fields of {operation.name} unique together"
    return ""


def operations_on_the_database(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations that change the database, not only what Django knows of it."""
    for operation in operations:
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from operations_on_the_database(operation.database_operations)
        else:
            yield operation


def problems(migration: Migration, state: ProjectState, made: set[tuple[str, str]]) -> list[str]:
    """What the release before could not live with in `migration`; `state` and `made` are moved on past it."""
    found = []
    for operation in operations_on_the_database(migration.operations):
        if isinstance(operation, migrations.CreateModel):
            made.add(key(migration.app_label, operation.name))
        elif said := problem(operation, migration.app_label, state, made):
            found.append(said)
    migration.mutate_state(state, preserve=False)
    return found
