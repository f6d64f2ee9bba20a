"""Another nginx: a configuration comes by a reload, an image with the one gap there is; what is broken never serves."""

from __future__ import annotations

import re
import signal

import pytest

from tests.stack.containers import docker
from tests.stack.deploys import SLACK, Deploys, interrupted, no_failures
from tests.stack.local import wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

# Seconds without an answer that a new image may cost; beside other work all of it takes longer.
GAP = 1.0 * SLACK
HEADERS = "headers.conf"


def header(deploys: Deploys, name: str) -> str | None:
    """A header of a static answer of nginx itself."""
    return deploys.stack.http.get("/favicon.ico").headers.get(name)


def with_header(deploys: Deploys, name: str) -> str:
    """A release whose nginx is configured to send one header more."""
    text = (deploys.stack.checkout / "services/proxy" / HEADERS).read_text()
    return deploys.configure({HEADERS: f'{text}\nadd_header {name} "here" always;\n'})


def test_another_configuration_is_reloaded_and_nobody_notices(deploys: Deploys) -> None:
    proxy, started = deploys.stack.container("proxy"), deploys.stack.inspect("proxy")["State"]["StartedAt"]
    release = with_header(deploys, "X-Reloaded")
    assert header(deploys, "X-Reloaded") is None
    with deploys.load() as load:
        done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    assert "nginx reloads, with another configuration" in done.stdout
    no_failures(load.measured())
    assert header(deploys, "X-Reloaded") == "here"
    assert (deploys.stack.container("proxy"), deploys.stack.inspect("proxy")["State"]["StartedAt"]) == (proxy, started)
    docker("restart", proxy)
    wait_for(lambda: deploys.stack.health("proxy") == "healthy", 60, "nginx is back")
    assert header(deploys, "X-Reloaded") == "here"
    assert deploys.leftovers() == {}


def test_a_configuration_that_nginx_refuses_never_gets_there(deploys: Deploys) -> None:
    serving, web = deploys.serving(), deploys.stack.container("web")
    release = deploys.configure({HEADERS: "no_such_directive on;\n"})
    with deploys.load() as load:
        done = deploys.run("deploy", release)
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: nginx refuses the new configuration: "), last
    assert 'unknown directive "no_such_directive"' in last
    assert "goes on serving, untouched" in last
    no_failures(load.measured())
    assert (deploys.serving(), deploys.stack.container("web")) == (serving, web)
    assert deploys.leftovers() == {}


def test_another_image_has_one_short_gap(deploys: Deploys) -> None:
    proxy = deploys.stack.container("proxy")
    release = deploys.derive_other("proxy", "ENV OF=another")
    with deploys.load() as load:
        done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    found = re.search(r"nginx, replaced by another image \(nobody listened for ([\d.]+) s\)", done.stdout)
    assert found, done.stdout
    report = load.measured()
    print(f"time to recover: nginx replaced by another image {found[1]} s, {len(report.failures())} errors")
    assert float(found[1]) < GAP
    failed = [sample.at for sample in report.failures()]
    assert not failed or max(failed) - min(failed) < GAP
    assert deploys.stack.container("proxy") != proxy
    bound = deploys.stack.inspect("proxy")["HostConfig"]["PortBindings"]["8443/tcp"]
    assert bound == [{"HostIp": "127.0.0.1", "HostPort": str(deploys.stack.port)}]
    assert deploys.leftovers() == {}


def test_an_image_that_does_not_start_never_takes_the_place_of_the_old_one(deploys: Deploys) -> None:
    proxy = deploys.stack.container("proxy")
    script = """#!/bin/sh\\n[ "$1" = render ] || exit 3\\nexec /opt/proxy/start "$@"\\n"""
    release = deploys.derive_other(
        "proxy", f"""RUN printf '{script}' >/start && chmod 755 /start\nENTRYPOINT ["/start"]"""
    )
    with deploys.load() as load:
        done = deploys.run("deploy", release)
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert f"{release} serves, but the new nginx does not start (it ends with status 3), the old one goes on" in last
    no_failures(load.measured())
    assert deploys.serving() == release
    assert deploys.stack.container("proxy") == proxy
    assert deploys.leftovers() == {}


@pytest.mark.full
def test_a_new_nginx_that_cannot_be_started_is_removed(deploys: Deploys) -> None:
    proxy, nowhere = deploys.stack.container("proxy"), f"{deploys.stack.project}_nowhere"
    docker("network", "create", nowhere)
    # It keeps the network from being removed.
    sleeping = ("--entrypoint", "sleep", f"slipway/db:{deploys.base}", "600")
    other = docker("run", "--detach", "--network", nowhere, *sleeping).strip()
    try:
        done = deploys.run("deploy", deploys.derive_other("proxy", "ENV OF=not-started"))
    finally:
        docker("rm", "--force", "--volumes", other)
        docker("network", "rm", nowhere)
    assert done.returncode == 1, done.stdout
    assert re.search(
        r"serves, but the new nginx does not start \(.*already exists.*\), the old one goes on", done.stderr
    )
    assert deploys.stack.container("proxy") == proxy
    assert deploys.leftovers() == {}


@pytest.mark.full
@pytest.mark.parametrize("beside", [False, True], ids=["at its begin", "beside the old one"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_while_nginx_is_replaced_and_run_again_it_ends_right(
    deploys: Deploys, number: signal.Signals, beside: bool
) -> None:
    release = deploys.derive_other("proxy", f"ENV OF=killed-{int(number)}-{beside}")
    nowhere = f"{deploys.stack.project}_nowhere"

    def new_one_runs() -> bool:
        listed = docker("ps", "--quiet", "--filter", f"network={nowhere}", check=False)
        return bool(listed.strip())

    stopped = interrupted(deploys, release, "proxy", number, new_one_runs if beside else None)
    stopped.communicate(timeout=60)
    assert stopped.returncode == (-number if number == signal.SIGKILL else 130)
    assert deploys.answers()
    done = deploys.run("deploy", release)
    assert done.returncode == 0, done.stderr
    assert deploys.serving() == release
    wanted = docker("image", "inspect", "--format", "{{.Id}}", f"slipway/proxy:{release}").strip()
    assert deploys.stack.inspect("proxy")["Image"] == wanted
    assert deploys.leftovers() == {}
