"""What every test of the Django project gets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import settings as hypothesis_settings

from local.postgres import Cluster

# The same examples in every run: a test that fails here fails everywhere.
hypothesis_settings.register_profile("reproducible", derandomize=True, deadline=None)
hypothesis_settings.load_profile("reproducible")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: Cluster) -> None:
    """Start the throwaway server before pytest-django makes its database there."""


@pytest.fixture(scope="session", autouse=True)
def catalogs() -> None:
    """The site speaks Chinese in the tests too, before the first page is asked for."""
    from django.conf import settings as django_settings

    from config.catalogs import compile_catalogs

    for directory in django_settings.LOCALE_PATHS:
        compile_catalogs(directory)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the tests with transactions of their own empty the tables between them: the audit log refuses it."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE moderation_auditentry DISABLE TRIGGER audit_no_truncate")


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Templates name static files as they are: the tests have collected none."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Argon2 is slow by design."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """A site on which every address leads somewhere (tests.web.routes), made once a module; tests leave it as it is."""
    from tests.web.routes import World

    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)


@pytest.fixture
def client() -> Client:
    """A browser on https, as the proxy passes it on; an exception in a view becomes the 500 page."""
    return Client(raise_request_exception=False, headers={"x-forwarded-proto": "https", "host": "testserver"})


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the root handler as configured writes from now on, as JSON objects."""
    configured = next(handler for handler in logging.getLogger().handlers if type(handler) is logging.StreamHandler)
    stream = io.StringIO()
    stderr = configured.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    configured.setStream(stderr)


@pytest.fixture
def queries_of(django_assert_num_queries: Any) -> Callable[..., CaptureQueriesContext]:
    """`with queries_of(n):` fails unless the block makes exactly n queries, and prints them."""
    return django_assert_num_queries
