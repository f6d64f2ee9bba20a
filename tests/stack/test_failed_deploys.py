"""Releases that must not be: whatever is wrong with one, the release that serves goes on, and the reason is said."""

from __future__ import annotations

import subprocess

import pytest

from tests.stack.deploys import FULL, Deploys, no_failures

pytestmark = [pytest.mark.chaos, pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(3600 if FULL else 1200)]


def refused(deploys: Deploys, release: str, *words: str, **variables: str) -> None:
    """Deploy a release under load: it must fail with the words in its last line, and nobody must notice."""
    serving, container = deploys.serving(), deploys.stack.container("web")
    with deploys.load() as load:
        done = deploys.run("deploy", release, **variables)
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: "), last
    for word in words:
        assert word in last
    no_failures(load.measured())
    assert deploys.serving() == serving
    assert deploys.stack.container("web") == container
    assert deploys.leftovers() == {}
    assert [item["status"] for item in deploys.records() if item["release"] == release] == ["failed"]


def test_a_release_that_cannot_be_imported(deploys: Deploys) -> None:
    source = deploys.source("config/urls.py")
    release = deploys.derive({"config/urls.py": source + "\nimport no_such_module\n"})
    refused(deploys, release, "ModuleNotFoundError: No module named 'no_such_module'", "goes on serving, untouched")


@pytest.mark.full
def test_a_release_whose_server_does_not_start(deploys: Deploys) -> None:
    source = deploys.source("serve.py").replace(
        "    sockets, own = directory(), own_name()\n",
        '    fail("this server cannot start")\n    sockets, own = directory(), own_name()\n',
    )
    refused(deploys, deploys.derive({"serve.py": source}), "web of the new release ended", "this server cannot start")


def test_a_release_that_is_never_healthy(deploys: Deploys) -> None:
    source = deploys.source("config/health.py").replace('    return ""\n', '    return "never ready"\n')
    refused(deploys, deploys.derive({"config/health.py": source}), "is not healthy", "never ready", HEALTHY_SECONDS="8")


@pytest.mark.full
def test_a_release_whose_pages_fail(deploys: Deploys) -> None:
    source = deploys.source("blog/feeds.py") + "\nSiteFeed.items = lambda self: 1 / 0\n"
    refused(deploys, deploys.derive({"blog/feeds.py": source}), "a page does not work: /feed.atom answered 500")


def test_a_release_whose_migration_fails(deploys: Deploys) -> None:
    release = deploys.derive(deploys.migration("9901_failing", 'migrations.RunSQL("SELECT 1/0")'))
    refused(deploys, release, "division by zero")


@pytest.mark.full
def test_a_release_whose_migration_would_break_the_one_that_serves(deploys: Deploys) -> None:
    release = deploys.derive(deploys.migration("9902_taking", 'migrations.RemoveField("article", "excerpt")'))
    refused(deploys, release, "blog.9902_taking removes article.excerpt: the release that serves now would fail on it")


def test_a_release_whose_migration_waits_for_a_lock(deploys: Deploys) -> None:
    files = deploys.migration(
        "9903_waiting", 'migrations.AddField("tag", "waiting", models.CharField(max_length=9, null=True))'
    )
    if not FULL:
        files["config/releasing.py"] = deploys.source("config/releasing.py").replace("TRIES = 6", "TRIES = 3")
    release = deploys.derive(files)
    command, environment = deploys.stack.psql_command()
    with subprocess.Popen(
        command, cwd=deploys.stack.checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write("BEGIN; SELECT count(*) >= 0 FROM blog_tag;\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "t"
        try:
            refused(deploys, release, "a migration did not get its lock within 1s")
        finally:
            holder.stdin.write("ROLLBACK;\n\\q\n")
            holder.stdin.close()
            holder.wait(30)


def test_a_release_that_does_not_answer_through_the_proxy_hands_back(deploys: Deploys) -> None:
    source = deploys.source("config/health.py").replace('"release": settings.RELEASE})', '"release": "another"})')
    release = deploys.derive({"config/health.py": source})
    refused(deploys, release, "the smoke test failed: /readyz is answered by another", "has the traffic again")
