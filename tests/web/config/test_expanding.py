"""Which operations the release before could not live with."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import migrations, models
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from config.expanding import problems
from config.management.commands import preflight


def judged(*operations: Operation) -> list[str]:
    """What is said of a migration with these operations, on a schema with one table."""
    state = ProjectState()
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=9, null=True)),
    ]
    state.add_model(ModelState("blog", "Thing", fields))
    migration = Migration("0009_test", "blog")
    migration.operations = list(operations)  # type: ignore[misc]
    return problems(migration, state, set())


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (migrations.RemoveField("thing", "name"), "removes thing.name"),
        (migrations.DeleteModel("Thing"), "deletes the table of Thing"),
        (migrations.RenameField("thing", "name", "title"), "renames thing.name"),
        (migrations.RenameModel("Thing", "Item"), "renames Thing"),
        (migrations.AlterModelTable("thing", "other"), "renames the table of thing"),
        (
            migrations.AddField("thing", "size", models.IntegerField(default=1)),
            "adds thing.size, which is neither nullable nor has a db_default",
        ),
        (
            migrations.AlterField("thing", "name", models.CharField(max_length=9, default="")),
            "makes thing.name NOT NULL",
        ),
        (
            migrations.AlterField("thing", "name", models.CharField(max_length=5, null=True)),
            "shortens thing.name from 9 to 5",
        ),
        (
            migrations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="one_name")),
            "adds the constraint one_name, which the release before does not know to keep",
        ),
    ],
)
def test_what_takes_away_is_said(operation: Operation, said: str) -> None:
    assert judged(operation) == [said]


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("thing", "size", models.IntegerField(null=True)),
        migrations.AddField("thing", "size", models.IntegerField(db_default=1)),
        migrations.AlterField("thing", "name", models.CharField(max_length=20, null=True)),
        migrations.AddIndex("thing", models.Index(fields=["name"], name="by_name")),
        migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))]),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.RemoveField("thing", "name")]),
        migrations.RunSQL("SELECT 1"),
    ],
)
def test_what_adds_is_fine(operation: Operation) -> None:
    assert judged(operation) == []


def test_a_table_of_this_release_no_older_code_knows() -> None:
    made = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])
    assert judged(made, migrations.AddField("other", "size", models.IntegerField(default=1))) == []


@pytest.mark.django_db
def test_a_preflight_names_what_it_would_apply_and_changes_nothing() -> None:
    out = io.StringIO()
    call_command("preflight", json=True, stdout=out)
    found = json.loads(out.getvalue())
    assert found["migrations"] == found["contracts"] == []
    assert found["free_megabytes"] > 0


@pytest.mark.django_db
def test_a_preflight_on_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FREE_MEGABYTES", 2**40)
    with pytest.raises(CommandError, match=r"MB are free .* make room"):
        call_command("preflight", stdout=io.StringIO())
