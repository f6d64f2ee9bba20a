"""The circuit breaker between the requests and a database that does not answer."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.test import Client

from config import circuit


@pytest.fixture(autouse=True)
def closed_circuit() -> Iterator[None]:
    """Each test begins and ends with a closed circuit."""
    circuit._opened[0] = 0
    yield
    circuit._opened[0] = 0


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A database without a sign of life; gives the moments at which it was asked for one."""
    asked: list[float] = []

    def answers() -> bool:
        asked.append(time.monotonic())
        return False

    monkeypatch.setattr(circuit, "answers", answers)
    return asked


@pytest.fixture
def waiting_connection(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection of its own that waits as the web server's do, with less patience."""
    monkeypatch.setattr(circuit, "PATIENCE", 0.05)
    circuit.install()
    opened = psycopg2.connect(**connection.get_connection_params())
    yield opened
    opened.close()
    psycopg2.extensions.set_wait_callback(None)


def a_page(response: Any) -> str:
    """The text of the page, which is the one of something that is away for a while."""
    assert response.status_code == 503
    assert response["Retry-After"] == "10"
    assert "no-store" in response["Cache-Control"]
    text: str = response.content.decode()
    assert "Back in a moment" in text
    assert "马上回来" in text
    return text


@pytest.mark.usefixtures("silent")
def test_while_the_circuit_is_open_a_request_is_refused_without_asking_the_database(client: Client) -> None:
    circuit.open_circuit()
    a_page(client.get("/"))


@pytest.mark.usefixtures("silent")
def test_a_form_that_is_refused_stands_on_the_page_to_be_sent_again() -> None:
    circuit.open_circuit()
    response = Client().post("/write/new/", {"title": "码头", "body": "what was *typed*", "do": "save"})
    page = a_page(response)
    assert "what was *typed*" in page
    assert "码头" in page
    assert 'action="/write/new/"' in page


def test_one_request_a_pause_looks_whether_the_database_is_back(
    client: Client, silent: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "PAUSE", 0.2)
    circuit.open_circuit()
    opened, until = time.monotonic(), time.monotonic() + 0.7
    while time.monotonic() < until:
        assert client.get("/").status_code == 503
    assert 1 <= len(silent) <= 3
    assert silent[0] - opened >= 0.19


def test_while_one_request_looks_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "PAUSE", 0)
    looks: list[bool] = []

    def answers() -> bool:
        # As from another worker, in the middle of this look.
        looks.append(circuit.is_closed() if not looks else True)
        return False

    monkeypatch.setattr(circuit, "answers", answers)
    circuit.open_circuit()
    assert not circuit.is_closed()
    assert looks == [False]


@pytest.mark.django_db
def test_the_first_sign_of_life_closes_the_circuit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "PAUSE", 0)
    circuit.open_circuit()
    assert client.get("/").status_code == 200
    monkeypatch.setattr(circuit, "PAUSE", 60)
    assert client.get("/").status_code == 200


@pytest.mark.usefixtures("silent")
def test_readiness_does_not_wait_for_a_silent_database(client: Client) -> None:
    circuit.open_circuit()
    response = client.get("/readyz")
    assert (response.status_code, response.json()["reason"]) == (503, "the database does not answer")


@pytest.mark.django_db
def test_a_server_that_lives_shows_it() -> None:
    assert circuit.answers()


@pytest.mark.parametrize("listening", [True, False])
def test_a_server_that_says_nothing_and_one_that_is_not_there_show_no_sign_of_life(
    listening: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "SIGN_OF_LIFE", 0.2)
    with tempfile.TemporaryDirectory(prefix="pg") as directory, socket.socket(socket.AF_UNIX) as server:
        monkeypatch.setitem(settings.DATABASES["default"], "HOST", directory)
        if listening:
            server.bind(str(Path(directory) / f".s.PGSQL.{settings.DATABASES['default']['PORT']}"))
            server.listen()
        started = time.monotonic()
        assert not circuit.answers()
        assert time.monotonic() - started < 1


def test_a_server_that_hangs_up_shows_no_sign_of_life(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="pg") as directory, socket.socket(socket.AF_UNIX) as server:
        monkeypatch.setitem(settings.DATABASES["default"], "HOST", directory)
        server.bind(str(Path(directory) / f".s.PGSQL.{settings.DATABASES['default']['PORT']}"))
        server.listen()

        def hang_up() -> None:
            taken, _ = server.accept()
            # What was sent is read, or the close would be a reset.
            taken.recv(8)
            taken.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert not circuit.answers()
        thread.join()


def test_a_slow_statement_of_a_server_that_lives_is_waited_for(waiting_connection: Any) -> None:
    with waiting_connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.4)")
    assert circuit.is_closed()


def test_a_statement_without_an_answer_fails_and_opens_the_circuit(
    waiting_connection: Any, silent: list[float]
) -> None:
    started = time.monotonic()
    with waiting_connection.cursor() as cursor, pytest.raises(psycopg2.OperationalError, match="does not answer"):
        cursor.execute("SELECT pg_sleep(5)")
    assert time.monotonic() - started < 1
    assert waiting_connection.closed
    assert not circuit.is_closed()
    assert len(silent) == 1


def test_one_backend_that_hangs_is_given_up_after_a_while(
    waiting_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "SILENCE", 0.2)
    with waiting_connection.cursor() as cursor, pytest.raises(psycopg2.OperationalError, match="no answer"):
        cursor.execute("SELECT pg_sleep(5)")
    assert circuit.is_closed()
