"""The time-outs nest over all files: who waits gives up after whom it waits for, so that each can say what happened."""

from __future__ import annotations

import re

import yaml

from config import circuit
from local import stack as local_stack
from tests.stack.local import ROOT


def seconds(path: str, pattern: str) -> float:
    """The one number that `pattern` finds in a file, in seconds; with `ms` after it, it was in milliseconds."""
    found = re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)
    assert len(found) == 1, (path, pattern, found)
    return float(found[0])


STATEMENT = seconds("services/db/roles.sql", r"slipway_app SET statement_timeout = '(\d+)s'")
LOCK = seconds("services/db/roles.sql", r"slipway_app SET lock_timeout = '(\d+)s'")
HARAKIRI = seconds("services/web/uwsgi.ini", r"^harakiri = (\d+)$")
MERCY = seconds("services/web/uwsgi.ini", r"^worker-reload-mercy = (\d+)$")
READ = seconds("services/proxy/uwsgi.conf", r"uwsgi_read_timeout (\d+)s;")
SHUTDOWN = seconds("services/proxy/nginx.conf", r"worker_shutdown_timeout (\d+)s;")


def grace(service: str) -> int:
    """The seconds that a container has to stop."""
    loaded = yaml.safe_load((ROOT / "compose/compose.yaml").read_text())
    return int(loaded["services"][service]["stop_grace_period"].removesuffix("s"))


def test_a_request_is_given_up_from_the_inside_out() -> None:
    assert LOCK < STATEMENT < circuit.SILENCE < HARAKIRI < READ < SHUTDOWN < grace("proxy")


def test_a_frozen_database_is_given_up_long_before_a_slow_statement() -> None:
    assert circuit.PATIENCE + circuit.SIGN_OF_LIFE + circuit.MOMENT < 5
    assert circuit.PATIENCE + circuit.SIGN_OF_LIFE < STATEMENT


def test_a_stop_waits_for_the_longest_request_on_both_engines() -> None:
    assert HARAKIRI < MERCY <= local_stack.GRACE_WEB
    assert READ < min(grace("web"), grace("worker"), local_stack.GRACE_WEB)
    assert SHUTDOWN < local_stack.GRACE_PROXY


def test_a_health_check_waits_longer_than_a_frozen_database_is_asked() -> None:
    loaded = yaml.safe_load((ROOT / "compose/compose.yaml").read_text())
    timeout = int(loaded["x-health"]["timeout"].removesuffix("s"))
    assert circuit.PATIENCE + circuit.SIGN_OF_LIFE + circuit.MOMENT < timeout
