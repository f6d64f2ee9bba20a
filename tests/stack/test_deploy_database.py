"""Another PostgreSQL: only when it is asked for, for some seconds, and nothing is lost."""

from __future__ import annotations

import pytest

from tests.stack.containers import docker
from tests.stack.deploys import SLACK, Deploys, no_failures

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

# From the first answer that is an error to the last.
AWAY_SECONDS = 15 * SLACK


def test_another_image_of_postgresql_comes_only_when_it_is_asked_for(deploys: Deploys) -> None:
    before = {service: deploys.stack.container(service) for service in ("db", "backup")}
    release = deploys.derive_other("db", "ENV OF=another")
    with deploys.load() as load:
        done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    assert "PostgreSQL stays as it is (DB=1 replaces it" in done.stdout
    no_failures(load.measured())
    assert {service: deploys.stack.container(service) for service in before} == before

    release = deploys.derive_other("db", "ENV OF=another")
    with deploys.load() as load:
        done = deploys.run("deploy", release, DB="1")
    assert done.returncode == 0, done.stderr
    wanted = docker("image", "inspect", "--format", "{{.Id}}", f"slipway/db:{release}").strip()
    assert [deploys.stack.inspect(service)["Image"] for service in before] == [wanted, wanted]
    failures = load.measured().failures()
    assert {sample.status for sample in failures} <= {503}
    away = max(sample.at for sample in failures) - min(sample.at for sample in failures) if failures else 0.0
    print(f"time to recover: PostgreSQL replaced by another image {away:.1f} s, {len(failures)} answers 503")
    assert away < AWAY_SECONDS
    assert deploys.serving() == release
    assert deploys.leftovers() == {}
