"""A deploy is killed at every step in turn: the site goes on, and running it again ends right."""

from __future__ import annotations

import signal

import pytest

from tests.stack.containers import docker
from tests.stack.deploys import FULL, STEPS, Deploys, interrupted, no_failures
from tests.stack.local import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(7200 if FULL else 1200)]


@pytest.mark.parametrize("step", STEPS if FULL else ("release", "smoke"))
def test_killed_at_a_step_and_run_again_it_ends_right(deploys: Deploys, step: str) -> None:
    before, release = deploys.serving(), deploys.derive({})
    with deploys.load() as load:
        killed = interrupted(deploys, release, step, signal.SIGKILL)
        assert killed.wait(30) == -signal.SIGKILL
        killed.communicate()
        assert deploys.serving() in (before, release)
        done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    assert deploys.serving() == release
    assert deploys.leftovers() == {}
    assert [item["status"] for item in deploys.records() if item["release"] == release][-1] == "serving"
    assert sum(item["status"] == "serving" for item in deploys.records()) == 1
    no_failures(load.measured())


@pytest.mark.parametrize("step", STEPS[:-1] if FULL else ("start",))
def test_ctrl_c_leaves_the_release_that_served(deploys: Deploys, step: str) -> None:
    before, release = deploys.serving(), deploys.derive({})
    with deploys.load() as load:
        stopped = interrupted(deploys, release, step, signal.SIGINT)
        _, error = stopped.communicate(timeout=300)
    assert stopped.returncode == 130, error
    assert f"{before} " in error.splitlines()[-1]
    assert deploys.serving() == before
    assert deploys.leftovers() == {}
    no_failures(load.measured())


@pytest.mark.full
@pytest.mark.parametrize("step", ["healthy", "smoke"])
def test_a_reboot_in_the_middle_loses_nothing(deploys: Deploys, step: str) -> None:
    """Everything ends at once and Docker starts it again, as it does after a power cut."""
    before, release = deploys.serving(), deploys.derive({})
    killed = interrupted(deploys, release, step, signal.SIGKILL)
    killed.communicate(timeout=30)
    label = f"label=com.docker.compose.project={deploys.stack.project}"
    running = docker("ps", "--quiet", "--filter", label).split()
    docker("kill", *running)
    docker("start", *running)
    wait_for(deploys.answers, 90, "the site is back")
    assert deploys.serving() in (before, release)
    done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    assert deploys.serving() == release
    assert deploys.leftovers() == {}
