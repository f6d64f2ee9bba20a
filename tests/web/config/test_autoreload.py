"""Reloading in development."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polib
import pytest

from config.autoreload import snapshot
from config.catalogs import compile_catalogs
from tests.database import ENVIRONMENT
from tests.web.config.test_environment import WEB


def test_a_changed_source_file_changes_the_snapshot(tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text("a = 1")
    before = snapshot(tmp_path)
    (tmp_path / "views.py").write_text("a = 12")
    assert snapshot(tmp_path) != before


def test_a_template_a_hidden_file_and_a_compiled_module_change_nothing(tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    for name in ("page.html", ".hidden.py", "__pycache__/views.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert snapshot(tmp_path) == before


def catalog(directory: Path, text: str) -> Path:
    """A message catalogue below `directory`."""
    path = directory / "zh_Hans" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_catalogue_is_compiled_without_gettext(tmp_path: Path) -> None:
    catalog(tmp_path, 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Tags"\nmsgstr "标签"\n')
    (written,) = compile_catalogs(tmp_path)
    assert {entry.msgid: entry.msgstr for entry in polib.mofile(str(written))} == {"Tags": "标签"}


def test_a_compiled_catalogue_is_left_alone(tmp_path: Path) -> None:
    catalog(tmp_path, 'msgid "Tags"\nmsgstr "标签"\n')
    compile_catalogs(tmp_path)
    assert compile_catalogs(tmp_path) == []


def test_a_broken_catalogue_is_named(tmp_path: Path) -> None:
    path = catalog(tmp_path, 'msgid "Tags"\nnonsense "标签"\n')
    with pytest.raises(ValueError, match=str(path)):
        compile_catalogs(tmp_path)


def answer_of(code: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Ask config.wsgi_dev for a page after `code` has run."""
    program = f"""
import sys
{code}
from config.wsgi_dev import application
def start(status, headers): print(status, dict(headers)["Content-Type"])
environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz", "wsgi.input": sys.stdin, "SERVER_NAME": "x"}}
environ["SERVER_PORT"] = "80"
print(b"".join(application(environ, start)).decode())
"""
    environment = {**os.environ, **ENVIRONMENT, "DEBUG": "1", **changes}
    return subprocess.run([sys.executable, "-c", program], cwd=WEB, env=environment, capture_output=True, text=True)


def test_in_development_a_project_that_imports_is_served() -> None:
    assert '"status": "ok"' in answer_of("").stdout


def test_in_development_a_project_that_does_not_import_shows_its_traceback() -> None:
    result = answer_of("import types; sys.modules['blog.views'] = types.ModuleType('blog.views')")
    assert result.stdout.startswith("500 Internal Server Error text/html")
    assert "ImportError" in result.stdout
    assert "notices/views.py" in result.stdout


def test_in_development_a_bad_variable_is_shown_in_the_browser() -> None:
    result = answer_of("", SITE_URL="nonsense")
    assert result.stdout.startswith("500")
    assert "SITE_URL" in result.stdout
