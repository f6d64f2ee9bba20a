"""The local engine as a developer meets it: reload, broken edits, Ctrl-C, ports, crashes, bad input."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.processes import group_members
from tests.stack.http import Client
from tests.stack.local import LocalStack, copy_checkout, free_port, wait_for


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A detached development stack, with the sample content it loads by itself."""
    stack = LocalStack(copy_checkout(tmp_path_factory.mktemp("dev")), "dev")
    stack.greeting = stack.start()  # type: ignore[attr-defined]
    yield stack
    stack.make("down", check=False)


def test_the_first_start_loads_the_sample_content_and_says_how_to_get_in(dev: LocalStack) -> None:
    greeting: str = dev.greeting  # type: ignore[attr-defined]
    assert dev.url in greeting
    password = (dev.checkout / ".local/secrets/admin_password").read_text().strip()
    assert f"user admin, password {password}" in greeting
    assert len(re.findall("<article", dev.http.get("/").text)) >= 10


def test_each_step_says_the_time_it_took(dev: LocalStack) -> None:
    steps = [line for line in dev.greeting.splitlines() if "✓" in line]  # type: ignore[attr-defined]
    assert len(steps) >= 4
    assert all(re.search(r"\d+\.\d s$", line) for line in steps)


def test_a_python_edit_reloads_by_itself_and_a_broken_one_shows_its_error_until_it_is_mended(dev: LocalStack) -> None:
    urls = dev.checkout / "services/web/config/urls.py"
    original = urls.read_text()
    probe = (
        "\nfrom django.http import HttpResponse\nfrom django.urls import path as _path\n"
        "urlpatterns = [_path('probe/', lambda request: HttpResponse('WORD')), *urlpatterns]\n"
    )
    try:
        urls.write_text(original + probe.replace("WORD", "first"))
        wait_for(lambda: dev.http.get("/probe/").text == "first", 20, "the edit is live")
        urls.write_text(original + "\nthis is not python\n")
        wait_for(lambda: "this is not python" in dev.http.get("/probe/").text, 20, "the error is shown")
        assert dev.http.get("/probe/").status == 500
        urls.write_text(original + probe.replace("WORD", "second"))
        wait_for(lambda: dev.http.get("/probe/").text == "second", 20, "the good edit heals it")
    finally:
        urls.write_text(original)
        wait_for(lambda: dev.http.get("/").status == 200, 20, "the site is back")


def test_settings_that_cannot_be_imported_are_shown_too(dev: LocalStack) -> None:
    settings = dev.checkout / "services/web/config/settings.py"
    original = settings.read_text()
    try:
        settings.write_text(original + "\nraise RuntimeError('broken settings')\n")
        wait_for(lambda: "broken settings" in dev.http.get("/").text, 20, "the error is shown")
    finally:
        settings.write_text(original)
        wait_for(lambda: dev.http.get("/").status == 200, 20, "the site is back")


def test_a_template_edit_is_live_at_once(dev: LocalStack) -> None:
    template = dev.checkout / "services/web/templates/blog/front.html"
    original = template.read_text()
    try:
        template.write_text("edited for {{ site_name }}")
        assert dev.http.get("/").text == "edited for Slipway"
    finally:
        template.write_text(original)


def test_a_stylesheet_edit_is_live_at_once(dev: LocalStack) -> None:
    sheet = dev.checkout / "services/web/static/site.css"
    original = sheet.read_text()
    try:
        sheet.write_text(original + "\n/* edited now */\n")
        assert "/* edited now */" in dev.http.get("/static/site.css").text
    finally:
        sheet.write_text(original)


def test_a_second_start_of_the_same_checkout_is_refused_in_one_line(dev: LocalStack) -> None:
    done = dev.make("dev", PORT=str(free_port()), check=False)
    assert done.returncode != 0
    assert "already runs" in done.stderr
    assert dev.url in done.stderr
    assert dev.http.get("/healthz").status == 200


def test_a_management_command_runs_beside_the_running_stack(dev: LocalStack) -> None:
    assert "[X]" in dev.manage("showmigrations", "blog")


def test_two_checkouts_run_at_once_on_two_ports(dev: LocalStack, tmp_path: Path) -> None:
    other = LocalStack(copy_checkout(tmp_path), "dev")
    other.start()
    try:
        assert other.http.get("/healthz").status == 200
        assert dev.http.get("/healthz").status == 200
        assert other.psql("SELECT count(*) FROM blog_article") == dev.psql("SELECT count(*) FROM blog_article")
    finally:
        other.stop()
    assert dev.http.get("/healthz").status == 200


def test_a_taken_port_is_one_line_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        stack = LocalStack(copy_checkout(tmp_path), "dev", port=other.getsockname()[1])
        done = stack.make("dev", DETACH="1", check=False)
    assert done.returncode != 0
    assert f"port {stack.port} is taken" in done.stderr
    assert not (tmp_path / ".local/status.json").exists()


@pytest.mark.parametrize("value", ["abc", "0", "70000"])
def test_a_malformed_port_is_one_line(tmp_path: Path, value: str) -> None:
    stack = LocalStack(copy_checkout(tmp_path), "dev")
    done = stack.make("dev", PORT=value, check=False)
    assert done.returncode != 0
    assert f"PORT={value} is not a port" in done.stderr
    assert not (tmp_path / ".local/status.json").exists()


def test_an_engine_that_does_not_exist_is_one_line(tmp_path: Path) -> None:
    stack = LocalStack(copy_checkout(tmp_path), "dev")
    done = stack.make("dev", ENGINE="podman", check=False)
    assert done.returncode != 0
    assert "ENGINE=podman" in done.stderr


# One more checkout, in a long path with spaces: the scenarios below run in this order, each leaves it stopped.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    long = tmp_path_factory.mktemp("long") / ("a rather long folder name with spaces " * 3).strip() / "slipway"
    return copy_checkout(long)


@pytest.fixture
def stack(checkout: Path) -> Iterator[LocalStack]:
    stack = LocalStack(checkout, "dev")
    yield stack
    stack.make("down", check=False)


def foreground(stack: LocalStack) -> subprocess.Popen[str]:
    """`make dev` as in a terminal: a process group of its own, its output kept."""
    process = subprocess.Popen(
        ["make", "dev"],
        cwd=stack.checkout,
        env={**stack.environment, "DETACH": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: answers(stack) or process.poll() is not None, 120, "the stack answers")
    return process


def answers(stack: LocalStack) -> bool:
    try:
        return stack.http.get("/healthz").status == 200
    except OSError:
        return False


def test_ctrl_c_stops_all_in_order(stack: LocalStack) -> None:
    process = foreground(stack)
    stack.http.get("/")
    groups = stack.processes()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert re.search(r"proxy\s+│ 200 GET /", output), output
    assert "stopping" in output
    for group in groups.values():
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
    assert "Traceback" not in output


def test_a_second_start_finds_the_data_again(stack: LocalStack) -> None:
    stack.start()
    stack.psql("CREATE TABLE kept AS SELECT 1 AS n")
    stack.stop()
    stack.start()
    assert stack.psql("SELECT n FROM kept") == "1"
    stack.stop()


def test_after_kill_9_of_everything_a_start_cleans_up(stack: LocalStack) -> None:
    stack.start()
    stack.kill_everything()
    stack.start()
    assert stack.psql("SELECT n FROM kept") == "1"
    stack.stop()


def test_after_kill_9_of_the_supervisor_alone_a_start_ends_what_it_left(stack: LocalStack) -> None:
    stack.start()
    groups = stack.processes()
    os.kill(int(str(stack.status()["pid"])), signal.SIGKILL)
    wait_for(lambda: not supervised(stack), 5)
    stack.start()
    for name in ("web", "worker", "proxy"):
        with pytest.raises(ProcessLookupError):
            os.killpg(groups[name], 0)
    assert stack.http.get("/healthz").status == 200
    stack.stop()


def supervised(stack: LocalStack) -> bool:
    try:
        os.kill(int(str(stack.status()["pid"])), 0)
    except OSError:
        return False
    return True


def test_a_process_that_dies_is_started_again(stack: LocalStack) -> None:
    stack.start()
    before = stack.processes()["proxy"]
    # The master alone: its workers stay and hold the port.
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: answers(stack) and stack.processes()["proxy"] != before, 20, "nginx is back")
    stack.stop()


def test_a_lost_secret_of_the_database_is_one_line_and_nothing_is_lost(stack: LocalStack) -> None:
    secret = stack.checkout / ".local/secrets/postgres_password"
    kept = secret.read_text()
    secret.unlink()
    done = stack.make("dev", DETACH="1", check=False)
    assert done.returncode != 0
    assert "postgres_password" in done.stderr
    secret.write_text(kept)
    stack.start()
    assert stack.psql("SELECT n FROM kept") == "1"
    stack.stop()


def test_an_empty_secret_is_one_line(stack: LocalStack) -> None:
    secret = stack.checkout / ".local/secrets/app_password"
    kept = secret.read_text()
    secret.write_text("")
    done = stack.make("dev", DETACH="1", check=False)
    secret.write_text(kept)
    assert done.returncode != 0
    assert "app_password is empty" in done.stderr


def test_a_database_of_a_newer_release_is_refused_in_one_line(stack: LocalStack) -> None:
    stack.start()
    stack.psql("INSERT INTO django_migrations (app, name, applied) VALUES ('blog', '9999_from_the_future', now())")
    stack.stop()
    done = stack.make("dev", DETACH="1", check=False)
    assert done.returncode != 0
    assert "9999_from_the_future" in done.stderr
    assert not (stack.checkout / ".local/status.json").exists()
    output = stack.make("psql", check=False)
    assert output.returncode == 0
    stack.psql("DELETE FROM django_migrations WHERE name = '9999_from_the_future'")


def test_a_cluster_of_another_major_version_is_refused_and_kept(stack: LocalStack) -> None:
    version = (stack.checkout / ".local/postgres").resolve() / "data/PG_VERSION"
    kept = version.read_text()
    version.write_text("12\n")
    done = stack.make("dev", DETACH="1", check=False)
    version.write_text(kept)
    assert done.returncode != 0
    assert "PostgreSQL 12" in done.stderr
    assert stack.psql("SELECT n FROM kept") == "1"


def gone(groups: Iterable[int]) -> bool:
    """Whether no process of these groups is left."""
    return not any(group_members(group) for group in groups)


def test_ctrl_c_while_it_starts_leaves_nothing_running(stack: LocalStack) -> None:
    process = subprocess.Popen(
        ["make", "dev"],
        cwd=stack.checkout,
        env={**stack.environment, "DETACH": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: supervised(stack) and stack.processes(), 30, "PostgreSQL is started")
    groups = stack.processes().values()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    wait_for(lambda: gone(groups), 60, "everything is gone")
    assert "Traceback" not in output
    assert "nothing runs" in stack.make("down").stdout


def test_a_terminal_that_went_away_is_no_reason_to_leave_anything_running(stack: LocalStack) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        ["make", "dev"],
        cwd=stack.checkout,
        env={**stack.environment, "DETACH": "0"},
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    wait_for(lambda: answers(stack), 120, "the stack answers")
    os.close(reader)
    groups = stack.processes().values()
    stack.http.get("/")
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    wait_for(lambda: gone(groups), 10, "everything is gone")


def test_no_secret_is_in_the_environment_of_a_process(stack: LocalStack) -> None:
    stack.start()
    secrets = [path.read_text().strip() for path in (stack.checkout / ".local/secrets").iterdir()]
    for name, group in stack.processes().items():
        for pid in group_members(group):
            text = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
            assert not [secret for secret in secrets if secret.encode() in text], name
    stack.stop()


def test_a_copied_checkout_keeps_away_from_the_database_of_the_original(stack: LocalStack, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root's database lives outside the checkout")
    stack.start()
    subprocess.run(["cp", "-a", str(stack.checkout), str(tmp_path / "copy")], check=True)
    copy = LocalStack(tmp_path / "copy", "dev")
    done = copy.make("dev", DETACH="1", check=False)
    assert done.returncode != 0
    assert "points at the database of" in done.stderr
    copy.make("clean", DATA="1", YES="1", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert stack.psql("SELECT n FROM kept") == "1"
    stack.stop()


def test_no_room_for_the_database_is_one_line(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("mounting a small file system takes root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        stack = LocalStack(
            copy_checkout(tmp_path / "checkout"), "dev", LOCAL_STATE=str(small / "state"), LOCAL_ROOT_STATE=str(small)
        )
        done = stack.make("dev", DETACH="1", check=False)
        assert done.returncode != 0
        assert "no room for the database" in done.stderr
        assert not (small / "state/status.json").exists()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_user_who_is_not_root_runs_it_with_the_system_python(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("every other test already runs as an ordinary user")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if not python or not shutil.which("setpriv"):
        pytest.skip("no Python that an ordinary user can reach, or no setpriv")
    # pytest's directories are closed to others.
    place = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
    try:
        checkout = copy_checkout(place / "checkout")
        subprocess.run(["chown", "-R", "nobody:nogroup", str(place)], check=True)
        port = str(free_port())
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(place),
            "ENGINE": "local",
            "PORT": port,
            "DETACH": "1",
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_CERT"))},
        }
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        run = {"cwd": checkout, "env": environment, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
        up = subprocess.run([*as_nobody, "make", "dev"], timeout=300, **run)  # type: ignore[call-overload]
        assert up.returncode == 0, up.stdout + up.stderr
        assert Client(f"http://localhost:{port}").get("/").status == 200
        down = subprocess.run([*as_nobody, "make", "down"], timeout=60, **run)  # type: ignore[call-overload]
        assert down.returncode == 0, down.stderr
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_python_too_old_is_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 'Python 3.9.2'\nexit 1\n")
    old.chmod(0o755)
    checkout = copy_checkout(tmp_path / "checkout")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHON": str(old), "ENGINE": "local", "HOME": str(tmp_path)}
    done = subprocess.run(["make", "dev"], cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "3.11" in done.stderr
