"""Development in containers, as a user who is not root: reload, broken edits, and a source tree that stays theirs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.containers import SERVICES, DockerStack, docker
from tests.stack.local import copy_checkout, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

SOCKET = Path("/var/run/docker.sock")


class DeveloperStack(DockerStack):
    """The development stack of a checkout, run by a user of its own when the tests run as root."""

    def __init__(self, checkout: Path) -> None:
        super().__init__(checkout, "dev", HOME=str(checkout))
        self.uid = os.getuid()
        self.become: list[str] = []
        if self.uid == 0:
            self.uid = 12345
            group = SOCKET.stat().st_gid if SOCKET.exists() else self.uid
            self.become = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", f"--groups={group}"]
            for path in (checkout, *checkout.rglob("*")):
                os.lchown(path, self.uid, self.uid)

    def run(self, *arguments: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.become, "bin/containers", *arguments],
            cwd=self.checkout,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def page(self) -> str:
        """The front page, whatever its status."""
        return self.http.get("/").text


@pytest.fixture(scope="module")
def dev(images: None) -> Iterator[DeveloperStack]:
    """A detached development stack; nobody but its user may read what is above the checkout of pytest's own folders."""
    directory = Path(tempfile.mkdtemp(prefix="slipway-test-"))
    directory.chmod(0o755)
    stack = DeveloperStack(copy_checkout(directory))
    try:
        stack.greeting = stack.run("up", "dev", "--detach").stdout  # type: ignore[attr-defined]
        yield stack
    finally:
        stack.remove()
        shutil.rmtree(directory)


def test_the_first_start_loads_the_sample_content_and_says_how_to_get_in(dev: DeveloperStack) -> None:
    greeting: str = dev.greeting  # type: ignore[attr-defined]
    assert re.search(rf"{dev.url}   ready in \d+\.\d s \(dev, docker engine\)", greeting)
    assert f"user admin, password {dev.secret('admin_password').read_text()}" in greeting
    steps = re.findall(r"^  ✓  (.+?)  +\d+\.\d s$", greeting, re.MULTILINE)
    assert len(steps) == 7
    assert dev.page().count("<article") >= 10


def test_debug_is_on_and_the_admin_lets_the_first_user_in(dev: DeveloperStack) -> None:
    assert dev.execute("web", "printenv", "DEBUG").strip() == "1"
    assert (
        dev.run("psql", "-XqAt", "-c", "SELECT username FROM accounts_user WHERE is_superuser").stdout.strip()
        == "admin"
    )


def test_the_translations_are_compiled(dev: DeveloperStack) -> None:
    assert 'lang="zh-hans"' in dev.http.get("/", Accept_Language="zh-CN").text.lower()
    assert (dev.checkout / "services/web/locale/zh_Hans/LC_MESSAGES/django.mo").stat().st_uid == dev.uid


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_runs_as_root_in_development_either(dev: DeveloperStack, service: str) -> None:
    uid = dev.execute(service, "id", "-u").strip()
    assert uid == {"db": "10003", "proxy": "10002"}.get(service, str(dev.uid))


def test_an_edit_reloads_and_a_broken_one_shows_its_error_until_it_is_mended(dev: DeveloperStack) -> None:
    file = dev.checkout / "services/web/config/urls.py"
    good = file.read_text()
    file.write_text(good + "\nthis is no python\n")
    wait_for(lambda: "SyntaxError" in dev.page(), 30, "the error in the browser")
    file.write_text(good + "\n# mended\n")
    wait_for(
        lambda: "SyntaxError" not in dev.page() and dev.http.get("/").status == 200, 30, "the next good edit heals it"
    )
    file.write_text(good)


def test_an_edited_template_is_seen_at_once(dev: DeveloperStack) -> None:
    file = dev.checkout / "services/web/templates/parts/footer.html"
    good = file.read_text()
    file.write_text(good + "<!-- edited just now -->")
    try:
        wait_for(lambda: "edited just now" in dev.page(), 10, "the edit")
    finally:
        file.write_text(good)


@pytest.mark.parametrize("service", ["web", "worker"])
def test_a_long_running_service_cannot_write_to_the_source_tree(dev: DeveloperStack, service: str) -> None:
    assert "Read-only file system" in dev.execute(service, "touch", "/app/config/new.py", check=False)
    # ... and it is the tree of this checkout that it sees.
    (dev.checkout / "services/web/seen").write_text("this one")
    assert dev.execute(service, "cat", "/app/seen") == "this one"
    (dev.checkout / "services/web/seen").unlink()


def test_what_a_command_writes_into_the_tree_belongs_to_who_ran_make(dev: DeveloperStack) -> None:
    dev.run("manage", "makemigrations", "--empty", "blog", "--name", "made_by_a_test")
    made = list((dev.checkout / "services/web/blog/migrations").glob("*_made_by_a_test.py"))
    assert len(made) == 1
    found = made[0].stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode) & 0o600) == (dev.uid, 0o600)
    made[0].unlink()


def test_nothing_in_the_checkout_is_anybody_elses_and_there_is_no_bytecode(dev: DeveloperStack) -> None:
    paths = list(dev.checkout.rglob("*"))
    assert [path for path in paths if path.lstat().st_uid != dev.uid] == []
    assert list((dev.checkout / "services/web").rglob("*.pyc")) == []


def test_the_logs_are_readable(dev: DeveloperStack) -> None:
    answer = dev.http.get("/nobody-of-that-name/")
    request_id = answer.headers["X-Request-ID"][:8]
    wait_for(lambda: request_id in dev.run("logs").stdout, 10, "the request in the log")
    line = next(line for line in dev.run("logs").stdout.splitlines() if request_id in line and " proxy " in line)
    assert re.fullmatch(rf"\S+ \S+  proxy +│ 404 GET /nobody-of-that-name/  \d+ ms  {request_id}", line)


def test_ctrl_c_stops_everything_in_order_and_keeps_the_data(dev: DeveloperStack) -> None:
    articles = dev.run("psql", "-XqAt", "-c", "SELECT count(*) FROM blog_article").stdout
    dev.run("down")
    with subprocess.Popen(
        [*dev.become, "bin/containers", "up", "dev"],
        cwd=dev.checkout,
        env=dev.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as foreground:
        assert foreground.stdout
        said: list[str] = []
        for line in foreground.stdout:
            said.append(line)
            if "Ctrl-C stops it" in line:
                break
        request_id = dev.http.get("/").headers["X-Request-ID"][:8]
        for line in foreground.stdout:
            said.append(line)
            if " proxy " in line and request_id in line:
                break
        # To the whole group, as a terminal does.
        os.killpg(foreground.pid, signal.SIGINT)
        rest = foreground.stdout.read()
        assert foreground.wait(60) == 0, "".join(said) + rest
    assert "stopping" in rest
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={dev.project}") == ""
    dev.run("up", "dev", "--detach")
    assert dev.run("psql", "-XqAt", "-c", "SELECT count(*) FROM blog_article").stdout == articles


def test_a_command_starts_the_database_when_nothing_runs_and_stops_it_again(dev: DeveloperStack) -> None:
    dev.run("down")
    assert "System check identified no issues" in dev.run("manage", "check", "--database", "default").stdout
    assert docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={dev.project}") == ""
    dev.run("up", "dev", "--detach")


def test_clean_removes_this_project_and_nothing_else(dev: DeveloperStack) -> None:
    bystander = f"{dev.project}-bystander"
    docker("volume", "create", bystander)
    try:
        # A tag of its own: the images of the other tests stay.
        dev.run("up", "dev", "--detach", RELEASE=bystander)
        dev.run("clean", RELEASE=bystander)
        assert docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={dev.project}") != ""
        dev.run("clean", "--data", RELEASE=bystander)
        label = f"label=com.docker.compose.project={dev.project}"
        for listing in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
            assert docker(*listing, "--quiet", "--filter", label) == "", listing
        assert bystander not in docker("images", "--format", "{{.Tag}}")
        assert bystander in docker("volume", "ls", "--quiet").split()
        assert not dev.secret("secret_key").parent.exists()
    finally:
        docker("volume", "rm", bystander)
