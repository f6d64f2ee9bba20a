"""The health answers."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection
from django.test import Client

from config import health


def test_healthz_answers_without_the_database(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "release": "test"}


def test_healthz_answers_whatever_the_host(client: Client) -> None:
    assert client.get("/healthz", headers={"host": "health.invalid"}).status_code == 200


def test_health_answers_are_never_stored(client: Client) -> None:
    assert client.get("/healthz")["Cache-Control"] == "no-store"


def test_healthz_refuses_other_methods(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_readyz_is_ok_with_every_migration_applied(client: Client) -> None:
    response = client.get("/readyz", headers={"host": "health.invalid"})
    assert (response.status_code, response.json()["status"]) == (200, "ok")


@pytest.mark.django_db
def test_readyz_names_a_migration_that_is_not_applied(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'config' AND name LIKE '0001%'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "config.0001" in response.json()["reason"]


@pytest.mark.django_db
def test_readyz_accepts_a_database_of_a_newer_release(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('blog', '9999_future', now())")
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_readyz_says_when_the_database_does_not_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def cursor(self) -> None:
            raise OperationalError("connection to 10.0.0.1 failed: password wrong")

        def close(self) -> None:
            pass

    monkeypatch.setattr(health, "connection", Broken())
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] == "the database does not answer"


def test_a_host_that_is_not_ours_is_refused(client: Client) -> None:
    assert client.get("/robots.txt", headers={"host": "evil.example"}).status_code == 400
