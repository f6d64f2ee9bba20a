"""requirements/: what was asked for is locked, by hash, in one version; bin/lock and bin/venv refuse anything else."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LAYERS = sorted(path.stem for path in (ROOT / "requirements").glob("*.in"))


@dataclass(frozen=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]


@cache
def pins(layer: str) -> dict[str, Pin]:
    """The packages of a lock by name. Whatever is neither pinned nor a hash nor a comment is an error."""
    text = (ROOT / "requirements" / f"{layer}.txt").read_text(encoding="utf-8")
    found = {}
    for entry in re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==([^\s;]+)(?: ; (.+?))?((?:\s+--hash=sha256:[0-9a-f]{64})+)", entry)
        assert match, f"requirements/{layer}.txt: {entry!r} is not a pinned and hashed package"
        name, version, marker, hashes = match.groups()
        found[name] = Pin(name, version, marker or "", frozenset(hashes.split()))
    assert found
    return found


@cache
def asked(layer: str) -> dict[str, Requirement]:
    """What the .in of a layer and those it includes ask for, by name."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / "requirements" / f"{layer}.in").read_text(encoding="utf-8").splitlines():
        text, _, _ = line.partition("#")
        if text.startswith("-r "):
            found |= asked(Path(text[3:].strip()).stem)
        elif text.strip():
            requirement = Requirement(text)
            found[canonicalize_name(requirement.name)] = requirement
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_a_lock_holds_everything_its_in_asks_for(layer: str) -> None:
    for name, requirement in asked(layer).items():
        assert name in pins(layer), f"{name} is missing from requirements/{layer}.txt"
        assert requirement.specifier.contains(pins(layer)[name].version)
        assert bool(pins(layer)[name].marker) == bool(requirement.marker)


def test_every_line_of_an_in_says_who_needs_the_package() -> None:
    for layer in LAYERS:
        for line in (ROOT / "requirements" / f"{layer}.in").read_text(encoding="utf-8").splitlines():
            assert line.startswith(("#", "-r ")) or re.search(r"\S\s+# \S", line), f"{layer}.in: {line}"


def test_a_package_is_the_same_in_every_lock() -> None:
    seen: dict[str, tuple[str, Pin]] = {}
    for layer in LAYERS:
        for name, pin in pins(layer).items():
            other, first = seen.setdefault(name, (layer, pin))
            assert pin == first, f"{name} differs between {other}.txt and {layer}.txt"


def test_a_layer_holds_the_layers_it_includes() -> None:
    for layer in LAYERS:
        for included in re.findall(r"(?m)^-r (\w+)\.in", (ROOT / "requirements" / f"{layer}.in").read_text()):
            assert set(pins(included)) <= set(pins(layer))


def test_the_images_hold_no_tool_of_the_tests_or_of_the_build() -> None:
    only_for_development = set(pins("dev")) - set(pins("local")) | set(pins("debug")) | set(pins("build"))
    # Django stands in debug.txt too, as what the toolbar needs.
    assert not (only_for_development - set(pins("app"))) & set(pins("web"))


def test_locks_name_no_index_and_no_path() -> None:
    for layer in LAYERS:
        text = (ROOT / "requirements" / f"{layer}.txt").read_text(encoding="utf-8")
        assert not re.search(r"https?:|file:/|--index|--find-links|--trusted|(^|\s)/", text)


@pytest.mark.parametrize(("python", "machine"), [("3.11", "aarch64"), ("3.14", "x86_64"), ("3.14", "aarch64")])
def test_the_local_engine_has_a_wheel_of_everything_for(python: str, machine: str, tmp_path: Path) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in (36, 34, 31, 28, 27, 26, 17, 5)] + [
        f"manylinux2014_{machine}"
    ]
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes"),
            *("--only-binary=:all:", "--target", str(tmp_path), "--implementation", "cp", "--python-version", python),
            *(argument for platform in platforms for argument in ("--platform", platform)),
            *("-r", str(ROOT / "requirements" / "local.txt")),
        ],
        capture_output=True,
        text=True,
        timeout=280,
    )
    if re.search("NewConnectionError|NameResolution|ConnectTimeout|ReadTimeout|ProxyError", answer.stderr):
        pytest.skip("no package index can be reached")
    assert answer.returncode == 0, answer.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what bin/lock and bin/venv read, in a folder whose name is a trap."""
    copy = tmp_path / "a checkout"
    copy.mkdir()
    for name in ("bin", "requirements"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


def run(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VENV", "PYTHON"))}
    return subprocess.run(
        command,
        cwd=checkout,
        env=kept | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_the_locks_match_their_in() -> None:
    answer = run(ROOT, "bin/lock", "--check")
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_changed_in_makes_every_lock_that_includes_it_stale(checkout: Path) -> None:
    path = checkout / "requirements" / "debug.in"
    path.write_text(path.read_text(encoding="utf-8") + "sqlparse<1 # for a test\n", encoding="utf-8")
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"requirements/{layer}.txt does not match requirements/{layer}.in: run `make lock`"
        for layer in ("debug", "dev", "local", "native")
    ]


def test_a_changed_comment_makes_no_lock_stale(checkout: Path) -> None:
    path = checkout / "requirements" / "debug.in"
    path.write_text("# Another comment\n\n" + path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert run(checkout, "bin/lock", "--check").returncode == 0


def test_a_missing_lock_is_named(checkout: Path) -> None:
    (checkout / "requirements" / "app.txt").unlink()
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert answer.stderr == "requirements/app.txt is missing: run `make lock`\n"


def test_a_stale_lock_is_not_installed(checkout: Path) -> None:
    path = checkout / "requirements" / "app.in"
    path.write_text(path.read_text(encoding="utf-8").replace("nh3 ", "nh3<9 "), encoding="utf-8")
    answer = run(checkout, "bin/venv", "local")
    assert answer.returncode == 1
    assert answer.stderr == "requirements/local.txt does not match requirements/local.in: run `make lock`\n"
    assert not (checkout / ".venv").exists()


# --- a lock that was edited


def seal(lock: Path) -> None:
    """Write the third line anew, as whoever edits a lock with care would."""
    lines = lock.read_text(encoding="utf-8").splitlines(keepends=True)
    rest = "".join(lines[:2] + lines[3:])
    lines[2] = f"# content: sha256:{hashlib.sha256(rest.encode()).hexdigest()}\n"
    lock.write_text("".join(lines), encoding="utf-8")


def edit(checkout: Path, old: str, new: str) -> int:
    """Replace what the expression `old` finds first in web.txt; the number of its line."""
    lock = checkout / "requirements" / "web.txt"
    text = lock.read_text(encoding="utf-8")
    found = re.search(old, text)
    assert found
    lock.write_text(text[: found.start()] + found.expand(new) + text[found.end() :], encoding="utf-8")
    return text[: found.start()].count("\n") + 1


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (r"django==\S+", "django>=5.2", " line {line}: django is not pinned with =="),
        (r"django==\S+", "django", " line {line}: django is not pinned with =="),
        (r"django==5\.2[.\d]*", "django==5.2.*", " line {line}: django is not pinned with =="),
        (r"(django==\S+) \\\n(    --hash.*\n)+", r"\1\n", " line {line}: django has no hash"),
        (r"django==\S+ \\\n", "", " line {line}: the package of this hash is missing"),
        (r"(?<=    )--hash=sha256:.", "--hash=sha256:", " line {line}: this is no SHA-256, of argon2-cffi"),
        (r"(?<=    )--hash=sha256:\S+ ", "--hash=md5:0123 ", " line {line}: this is no SHA-256, of argon2-cffi"),
        (r"django==\S+ \\\n(    --hash.*\n)+", "", " lacks django"),
        (r"django==", "--extra-index-url x\ndjango==", ' line {line}: "--extra-index-url x" is no package'),
        (r"\Z", "sqlparse @ https://example.org/sqlparse.zip\n", " line {line}: sqlparse is not pinned with =="),
    ],
)
def test_a_line_that_no_lock_has_is_named(checkout: Path, old: str, new: str, said: str, sealed: bool) -> None:
    line = edit(checkout, old, new)
    if sealed:
        seal(checkout / "requirements" / "web.txt")
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert answer.stderr == f"requirements/web.txt{said.format(line=line)}: run `make lock`\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"(--hash=sha256:)[0-9a-f]{64}", r"\g<1>" + "0" * 64),
        (r"sqlparse==\S+ \\\n(    --hash.*\n)+", ""),
        (r"(django==\S+ \\\n)    --hash.*\n", r"\1"),
        (r"(django==5\.2\.)\d+", r"\g<1>0"),
        (r"# content: .*\n", ""),
    ],
)
def test_a_changed_hash_version_or_line_is_found(checkout: Path, old: str, new: str) -> None:
    edit(checkout, old, new)
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert answer.stderr == "requirements/web.txt was edited by hand: run `make lock`\n"


def test_a_lock_of_another_python_is_named(checkout: Path) -> None:
    edit(checkout, r"with Python 3\.11", "with Python 3.12")
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert answer.stderr == "requirements/web.txt was locked with Python 3.12, 3.11 is needed: run `make lock`\n"


def test_every_lock_with_a_fault_is_named(checkout: Path) -> None:
    edit(checkout, r"django==", "django>=")
    (checkout / "requirements" / "app.txt").unlink()
    answer = run(checkout, "bin/lock", "--check")
    assert answer.returncode == 1
    assert [line.split()[0] for line in answer.stderr.splitlines()] == ["requirements/app.txt", "requirements/web.txt"]


def test_an_edited_lock_is_not_installed(checkout: Path) -> None:
    path = checkout / "requirements" / "local.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("django==", "django>="), encoding="utf-8")
    answer = run(checkout, "bin/venv", "local")
    one_line(answer, "django is not pinned with ==: run `make lock`")
    assert not (checkout / ".venv").exists()


def test_locking_without_the_lock_of_the_tools_is_refused(checkout: Path) -> None:
    (checkout / "requirements" / "lock.txt").unlink()
    kept = {path.name: path.read_bytes() for path in (checkout / "requirements").iterdir()}
    one_line(run(checkout, "bin/lock"), "`git checkout requirements/lock.txt`")
    assert {path.name: path.read_bytes() for path in (checkout / "requirements").iterdir()} == kept


# --- everywhere


def pip_commands() -> Iterator[tuple[str, str]]:
    """Every command in the Dockerfiles and in bin by which pip installs or builds something, with its file."""
    for path in [*sorted((ROOT / "services").glob("*/Dockerfile")), *sorted((ROOT / "bin").iterdir())]:
        text = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8")).replace("\\\n", " ")
        for command in re.split(r"\n|&&|\|\|", text):
            if re.search(r"\bpip\S*( .*)? (install|wheel|download)\b|\{pip\[@\]\}\"? install", command):
                yield path.relative_to(ROOT).as_posix(), command


def test_pip_installs_nothing_outside_the_locks() -> None:
    calls = list(pip_commands())
    places = [place for place, _ in calls]
    assert [places.count(place) for place in ("services/web/Dockerfile", "bin/venv", "bin/lock")] == [4, 1, 1]
    for place, command in calls:
        assert "--require-hashes" in command, f"{place}: {command}"
        assert "--no-deps" in command, f"{place}: {command}"


def test_the_dockerfiles_install_debian_packages_from_the_locks_alone() -> None:
    for file in (ROOT / "services").glob("*/Dockerfile"):
        text = re.sub(r"(?m)^\s*#.*$", "", file.read_text(encoding="utf-8"))
        assert not re.search(r"\b(apt|apt-get|aptitude|dpkg)\s+(-\S+\s+)*(install|upgrade|-i)", text), file
    assert (ROOT / "services/base/apt-install").read_text(encoding="utf-8").count("apt-get install") == 1


# --- bin/venv, with an index of its own that holds one tiny package


def wheel(directory: Path, version: str, requires: str = "") -> str:
    """Write a wheel of the package `tiny`, that needs `requires`; its hash."""
    path = directory / f"tiny-{version}-py3-none-any.whl"
    contents = {
        "tiny.py": f"version = {version!r}\n",
        f"tiny-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n{requires}",
        f"tiny-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"tiny-{version}.dist-info/RECORD"
    with zipfile.ZipFile(path, "w") as archive:
        lines = [f"{record},,"]
        for name, text in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={digest},{len(text)}")
            archive.writestr(name, text)
        archive.writestr(record, "\n".join(lines) + "\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word on stderr."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is http.server's)
        pass


@contextmanager
def index(directory: Path) -> Iterator[str]:
    """Serve the wheels of a directory as a package index; its URL."""
    (directory / "tiny").mkdir(exist_ok=True)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(directory))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyProject]:
    """A checkout whose one package is `tiny`, and the index that has it. Shared: making one takes seconds."""
    directory = tmp_path_factory.mktemp("tiny")
    root = directory / "a checkout"
    (root / "requirements").mkdir(parents=True)
    shutil.copytree(ROOT / "bin", root / "bin")
    wheels = directory / "index" / "tiny"
    wheels.mkdir(parents=True)
    hashes = {version: wheel(wheels, version) for version in ("1.0", "2.0")}
    hashes["4.0"] = wheel(wheels, "4.0", "Requires-Dist: absent\n")
    with index(wheels.parent) as url:
        yield TinyProject(root, hashes, url)


@pytest.fixture
def made(tiny: TinyProject) -> TinyProject:
    """The same with its environment made."""
    tiny.lock("1.0")
    answer = tiny.venv()
    assert answer.returncode == 0, answer.stderr
    return tiny


@dataclass
class TinyProject:
    """A checkout that asks for the package `tiny` and nothing else."""

    root: Path
    hashes: dict[str, str]
    url: str

    def lock(self, version: str, digest: str | None = None) -> None:
        """Write the .in of each layer that bin/venv knows, and locks that match them."""
        for layer in ("native", "local", "dev"):
            (self.root / "requirements" / f"{layer}.in").write_text(f"tiny=={version}\n", encoding="utf-8")
            checksum = hashlib.sha256(f"python 3.11\ntiny=={version}\n".encode()).hexdigest()
            lock = self.root / "requirements" / f"{layer}.txt"
            lock.write_text(
                f"# For a test\n# requires: sha256:{checksum}\n# content:\n"
                f"tiny=={version} \\\n    --hash=sha256:{digest or self.hashes[version]}\n",
                encoding="utf-8",
            )
            seal(lock)

    def venv(self, layer: str = "local", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run bin/venv against the index of the test."""
        settings = {
            "PIP_INDEX_URL": self.url,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_RETRIES": "1",
        }
        return run(self.root, "bin/venv", layer, **settings | environment)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Put the stamp back, which an install that fails leaves removed: the next test then need not make all anew."""
        stamp = self.root / ".venv" / "ok"
        text = stamp.read_text(encoding="utf-8")
        yield
        assert not stamp.exists()
        assert self.installed() == "1.0"
        stamp.write_text(text, encoding="utf-8")

    def installed(self) -> str:
        """The version of `tiny` that the environment has."""
        return run(self.root, ".venv/bin/python", "-c", "import tiny; print(tiny.version)").stdout.strip()


def one_line(answer: subprocess.CompletedProcess[str], wanted: str) -> None:
    """The command failed with one line, and it says `wanted`."""
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    assert wanted in answer.stderr


def test_an_environment_follows_its_lock(made: TinyProject) -> None:
    assert made.installed() == "1.0"
    assert made.venv().stdout == ""

    made.lock("2.0")
    assert "installing" in made.venv().stdout
    assert made.installed() == "2.0"


def test_a_package_whose_hash_is_not_the_locked_one_is_refused(made: TinyProject) -> None:
    made.lock("2.0", digest="0" * 64)
    with made.failing():
        one_line(made.venv(), "what the package index gave for tiny==2.0 has not the hash in requirements/local.txt")


def test_an_index_that_cannot_be_reached_is_named(made: TinyProject) -> None:
    made.lock("2.0")
    with made.failing():
        one_line(
            made.venv(PIP_INDEX_URL="http://127.0.0.1:9/"), "the package index cannot be reached (Connection refused)"
        )


def test_a_package_that_the_index_lacks_is_named(made: TinyProject) -> None:
    made.lock("3.0", digest="0" * 64)
    with made.failing():
        one_line(made.venv(), "has no file of tiny==3.0 (in requirements/local.txt) for this Python")


def test_packages_that_do_not_fit_together_are_refused(made: TinyProject) -> None:
    made.lock("4.0")
    one_line(
        made.venv(),
        "requirements/local.txt does not fit together (tiny 4.0 requires absent, which is not installed)",
    )
    assert not (made.root / ".venv" / "ok").exists()
    made.lock("1.0")
    assert made.venv().returncode == 0


def test_an_environment_holds_the_layers_below_its_own(made: TinyProject) -> None:
    assert made.venv("native").stdout == ""
    assert "requirements/dev.txt" in made.venv("dev").stdout
    assert made.venv("local").stdout == ""
    assert made.venv("native").stdout == ""


def test_an_environment_without_servers_gets_them_when_they_are_wanted(tiny: TinyProject, tmp_path: Path) -> None:
    tiny.lock("1.0")
    environment = str(tmp_path / "venv")
    assert "requirements/native.txt" in tiny.venv("native", VENV=environment).stdout
    assert "requirements/local.txt" in tiny.venv("local", VENV=environment).stdout


def test_two_at_once_make_an_unfinished_environment_anew_and_once(made: TinyProject) -> None:
    (made.root / ".venv" / "ok").unlink()
    rubbish = made.root / ".venv" / "rubbish"
    rubbish.touch()
    answers: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(made.venv())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.returncode for answer in answers] == [0, 0], answers
    assert sorted(bool(answer.stdout) for answer in answers) == [False, True]
    assert not rubbish.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(made: TinyProject) -> None:
    python = made.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    assert "installing" in made.venv().stdout
    assert made.installed() == "1.0"


def test_an_environment_that_was_moved_is_made_anew(made: TinyProject) -> None:
    made.root = made.root.rename(made.root.with_name("moved"))
    assert "installing" in made.venv().stdout
    assert f"{made.root}/.venv" in (made.root / ".venv" / "bin" / "pip").read_text(encoding="utf-8")


def test_a_python_too_old_is_named(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nprintf '3.9.2\\n/usr/bin/python3.9\\n'\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    answer = run(checkout, "bin/venv", "local", PYTHON=str(old))
    one_line(answer, f"Python 3.11 or newer is needed, found 3.9.2 ({old})")


def test_a_python_without_ensurepip_is_named_with_the_package_to_install(tiny: TinyProject, tmp_path: Path) -> None:
    tiny.lock("1.0")
    bare = tmp_path / "python3"
    bare.write_text(
        f"""#!/bin/sh
case $* in
  *_base_executable*) printf '3.11.2\\n{bare}\\n' ;;
  -V) echo 'Python 3.11.2' ;;
  *venv*) echo 'The virtual environment was not created successfully because ensurepip is not available.'; exit 1 ;;
esac
""",
        encoding="utf-8",
    )
    bare.chmod(0o755)
    one_line(tiny.venv(PYTHON=str(bare), VENV=str(tmp_path / "venv")), "apt-get install python3-venv")
