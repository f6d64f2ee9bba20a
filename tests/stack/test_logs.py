"""What the logs of a whole journey hold: each request's id in every line that is about it, and nothing secret."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from PIL import Image

from tests.stack.local import LocalStack, wait_for
from tests.stack.visitor import Visitor

# No person fills in the form faster (accounts/signup.py).
FASTEST_SECONDS = 3.2


@dataclass
class Journey:
    """What was done on a stack: what must not be in its logs (and what it is), and the ids of some requests."""

    stack: LocalStack
    secrets: dict[str, str] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)


def mailed(stack: LocalStack, address: str, part: str) -> str:
    """The path of the link with `part` in it, of the newest mail to `address` that has one."""
    rows = stack.psql(
        f"SELECT text FROM config_outgoingmail WHERE recipients::text LIKE '%{address}%' "
        f"AND text LIKE '%{part}%' ORDER BY id DESC LIMIT 1"
    )
    found = re.search(rf"https?://[^/\s]+(\S*{part}\S+)", rows)
    assert found, rows
    return found[1]


@contextmanager
def renamed(stack: LocalStack, table: str) -> Iterator[None]:
    """A table is away: every statement on it fails."""
    stack.psql(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        stack.psql(f"ALTER TABLE {table}_away RENAME TO {table}")


def walk(stack: LocalStack) -> Journey:
    """Sign up, log in wrong and right, write, upload, preview, comment, unsubscribe, reset, the admin; then errors."""
    journey = Journey(stack)
    secrets = journey.secrets
    name, number = f"walker{time.monotonic_ns()}", time.monotonic_ns()
    address = f"{name}@example.org"
    passwords = [f"{word} horse battery {number}" for word in ("first", "mistyped", "second")]
    secrets |= dict.fromkeys(passwords, "a password")
    first, wrong, second = passwords

    def kept(path: str, what: str) -> str:
        """Note the secret part of an address, as it is and as it stands in addresses."""
        part = path.strip("/").rpartition("/")[2]
        secrets.update({part: what, quote(part): what})
        return path

    someone = Visitor(stack.http, secrets)
    someone.get("/account/signup/")
    time.sleep(FASTEST_SECONDS)
    someone.send(username=name, email=address, password1=first)
    someone.get(kept(mailed(stack, address, "/confirm-email/"), "the key of an address"))
    someone.send()
    someone.get("/account/login/?next=/write/new/")
    someone.send(login=name, password=wrong)
    someone.send(login=name, password=first)
    someone.fields("title", "body")
    someone.send(title=f"Walk {number}", body="A text.", do="publish")
    article = stack.psql(f"SELECT id FROM blog_article WHERE title = 'Walk {number}' AND status = 'published'")
    assert article

    someone.get("/write/pictures/")
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    assert someone.upload("sea.png", file.getvalue(), alt="The sea").status == 200
    owner = f"SELECT id FROM accounts_user WHERE username = '{name}'"
    owned = f"SELECT count(*) FROM uploads_picture WHERE owner_id = ({owner})"
    assert stack.psql(owned) == "1"

    someone.get(f"/write/{article}/links/")
    page = someone.send(days="7").text
    link = re.search(r"/preview/[0-9a-f]{64}/", page)
    assert link, page
    assert someone.get(kept(link[0], "the token of a preview")).status == 200
    # What a browser asks for next names the page it is on, unless that forbids it.
    someone.client.get("/static/none.css", Referer=f"{stack.url}{link[0]}", Cookie="sessionid=x")
    # Refused by nginx itself, which has words of its own for it.
    answer = someone.client.request("POST", link[0], b"x" * 1_200_000)
    assert answer.status == 413
    journey.requests["refused"] = answer.headers["X-Request-ID"]
    assert someone.client.get(link[0].replace("/preview/", "/preview/0")).status == 404

    admin = Visitor(stack.http, secrets)
    admin.get("/admin/")
    admin.send(login="admin", password=stack.admin_password())
    admin.get(f"/{name}/{article}-walk-{number}/")
    admin.send(body="A **comment**.")
    unsubscribe = kept(mailed(stack, address, "/unsubscribe/"), "the token that ends mails")
    someone.get(unsubscribe)
    assert someone.request("POST", unsubscribe, b"").status == 200

    someone.get("/account/password/reset/")
    someone.send(email=address)
    someone.get(kept(mailed(stack, address, "/password/reset/key/"), "the key of a reset"))
    someone.send(password1=second, password2=second)
    someone.cookies.clear()
    someone.get("/account/login/")
    someone.send(login=name, password=second)

    secret = f"hush{number}"
    secrets[secret] = "a token in a query"
    answer = someone.get(f"/nobody-{number}/?token={secret}")
    assert answer.status == 404
    journey.requests["missing"] = answer.headers["X-Request-ID"]
    with renamed(stack, "django_session"):
        answer = someone.get(f"/write/?token={secret}")
    assert answer.status == 500
    journey.requests["broken"] = answer.headers["X-Request-ID"]
    assert answer.headers["X-Request-ID"] in answer.text

    # Longer than what counts as slow, because somebody has the table.
    lock = "BEGIN; LOCK TABLE django_session; SELECT pg_sleep(2.2); COMMIT"
    holder = threading.Thread(target=stack.psql, args=(lock,))
    holder.start()
    held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'django_session'::regclass"
    wait_for(lambda: stack.psql(held) == "1", 5, "the lock")
    answer = someone.get("/write/")
    holder.join()
    assert answer.status == 200
    journey.requests["slow"] = answer.headers["X-Request-ID"]

    someone.get("/")
    someone.request("POST", "/account/logout/")
    return journey


@pytest.fixture(scope="module")
def journey(stack: LocalStack) -> Journey:
    """One walk on each engine, and its last lines in the log."""
    done = walk(stack)
    wait_for(lambda: all(identity in stack.logs() for identity in done.requests.values()), 10, "the log")
    return done


def about(journey: Journey, request: str) -> dict[str, list[str]]:
    """The lines that name a request, by who wrote them."""
    found: dict[str, list[str]] = {"proxy": [], "web": [], "db": []}
    for line in journey.stack.logs().splitlines():
        if journey.requests[request] in line:
            text = line[line.index("{") :] if "{" in line else ""
            kind = "proxy" if '"service":"proxy"' in text else "web" if text else "db"
            found[kind].append(line)
            if text:
                json.loads(text)
    return found


def test_nothing_secret_is_in_the_logs(journey: Journey) -> None:
    stack = journey.stack
    folder = stack.secret("admin_password").parent
    secrets = {**journey.secrets}
    for path in folder.iterdir():
        # What else lies there is no secret: the mode, the history of releases.
        if path.is_file() and path.name not in ("mode", "releases.json"):
            lines = [line.strip() for line in path.read_text().splitlines()]
            secrets |= {line: f"the secret {path.name}" for line in lines if len(line) > 8}
    assert len(set(secrets.values())) >= 12, sorted(set(secrets.values()))
    logs = stack.logs()
    assert "WARNING" in logs
    leaked = {
        what: [line for line in logs.splitlines() if value in line][:2]
        for value, what in secrets.items()
        if value in logs
    }
    assert leaked == {}


def test_the_log_of_requests_holds_no_query_and_masks_secret_addresses(journey: Journey) -> None:
    entries = [
        json.loads(line[line.index("{") :]) for line in journey.stack.logs().splitlines() if '"service":"proxy"' in line
    ]
    paths = {entry["path"] for entry in entries}
    assert not [path for path in paths if "?" in path]
    assert {
        "/preview/***",
        "/unsubscribe/***",
        "/account/confirm-email/***",
        "/account/password/reset/key/***",
    } <= paths
    assert not [entry["referrer"] for entry in entries if "localhost" in entry["referrer"]]


def test_a_statement_that_fails_is_in_all_three_logs_without_its_values(journey: Journey) -> None:
    found = about(journey, "broken")
    assert len(found["proxy"]) == 1
    assert any("statement failed (42P01)" in line and "%s" in line for line in found["web"])
    assert any("ERROR:  relation" in line for line in found["db"])
    assert not any("STATEMENT" in line or "DETAIL" in line for line in found["db"])


def test_a_slow_statement_is_logged_with_its_request_and_without_its_values(journey: Journey) -> None:
    found = about(journey, "slow")
    assert any("slow statement" in line and "django_session" in line for line in found["web"])
    assert any('"logger":"uwsgi"' in line for line in found["web"])
    # log_lock_waits
    assert any("still waiting for AccessShareLock" in line for line in found["db"])


def shown(stack: LocalStack, check: bool = True, **wish: str) -> subprocess.CompletedProcess[str]:
    """What `make logs` prints."""
    return stack.make("logs", *(f"{name}={value}" for name, value in wish.items()), check=check, timeout=30)


def test_logs_shows_a_request_of_all_services_in_the_order_of_time_and_ends(journey: Journey) -> None:
    identity = journey.requests["slow"]
    rows = shown(journey.stack, REQUEST=identity[:8]).stdout.splitlines()
    services = [row.split("│")[0].split()[2] for row in rows if "│" in row]
    assert {"proxy", "web", "db"} == set(services)
    times = [row[:18] for row in rows if "│" in row]
    assert times == sorted(times)
    # nginx writes when the answer has been sent; PostgreSQL said that somebody waits before that.
    assert services.index("db") < services.index("proxy")
    assert rows == shown(journey.stack, REQUEST=identity.upper()).stdout.splitlines()


def test_logs_can_be_narrowed(journey: Journey) -> None:
    stack = journey.stack
    rows = shown(stack, SERVICE="db", FOLLOW="0").stdout.splitlines()
    assert rows
    assert all(" db       │ " in row for row in rows if "│" in row)
    errors = shown(stack, LEVEL="error", FOLLOW="0").stdout
    assert "500 GET /write/" in errors
    assert " 200 GET " not in errors
    assert "500 GET /write/" in shown(stack, SINCE="10m", SERVICE="proxy", FOLLOW="0").stdout
    # Whole seconds.
    time.sleep(2)
    assert "500 GET /write/" not in shown(stack, SINCE="1s", SERVICE="proxy", FOLLOW="0").stdout


def test_logs_follows(journey: Journey) -> None:
    stack = journey.stack
    marker = f"/followed-{time.monotonic_ns()}/"
    seen: list[str] = []
    with subprocess.Popen(
        ["make", "logs", "SERVICE=proxy"], cwd=stack.checkout, env=stack.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as follower:  # fmt: skip
        lines = follower.stdout
        assert lines is not None
        reader = threading.Thread(target=lambda: seen.extend(iter(lines.readline, "")), daemon=True)
        reader.start()

        def asked() -> bool:
            stack.http.get(marker)
            time.sleep(0.3)
            return any(marker in line for line in seen)

        try:
            wait_for(lambda: seen, 20, "what is there already")
            wait_for(asked, 20, "what comes after it")
        finally:
            os.killpg(follower.pid, signal.SIGTERM)
            reader.join(20)


@pytest.mark.parametrize(
    "wish", ["REQUEST=xyz", "REQUEST=0ab", "SERVICE=cache", "LEVEL=loud", "SINCE=yesterday", "FOLLOW=2"]
)
def test_logs_refuses_what_it_does_not_know_in_one_line(stack: LocalStack, wish: str) -> None:
    done = stack.make("logs", wish, check=False, timeout=30)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode != 0
    assert len(errors) == 1
    assert wish in errors[0]


def test_a_request_that_nobody_logged_is_an_error(stack: LocalStack) -> None:
    done = shown(stack, check=False, REQUEST="0" * 32)
    assert done.returncode != 0
    assert "no line names the request 000" in done.stderr
