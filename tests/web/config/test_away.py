"""Which failures are the database's: those are 503, and pass."""

from __future__ import annotations

import psycopg2
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError

from config.errors import is_away


def caused(error: Exception, cause: Exception) -> Exception:
    """`error` as Django raises it for one of psycopg2's."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (OperationalError("connection refused"), True),
        (InterfaceError("connection already closed"), True),
        # What psycopg2 raises when the server is killed in the middle of a statement.
        (caused(DatabaseError("server closed the connection"), psycopg2.DatabaseError()), True),
        (caused(ProgrammingError("no such column"), psycopg2.ProgrammingError()), False),
        # Django's own.
        (DatabaseError("Save with update_fields did not affect any rows."), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_a_database_that_went_away_is_told_from_other_errors(error: Exception | None, away: bool) -> None:
    assert is_away(error) is away
