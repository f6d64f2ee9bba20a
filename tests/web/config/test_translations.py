"""Everything the site says is said in Chinese too."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import polib
import pytest
from django.utils.translation.template import templatize

from tests.web.config.test_environment import WEB

CATALOG = WEB / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
MARKS = {"_", "gettext", "gettext_lazy", "ngettext"}
CALL = re.compile(
    r"""\b(?P<name>n?p?gettext)\((?P<arguments>(?:u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*"|[^()'"])*)\)""", re.DOTALL
)


def python_messages() -> Iterator[str]:
    """The texts marked in Python."""
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                yield ast.literal_eval(node.args[0])


def template_messages() -> Iterator[str]:
    """The texts marked in templates."""
    for path in (WEB / "templates").rglob("*.html"):
        for call in CALL.finditer(templatize(path.read_text(encoding="utf-8"), origin=path.name)):
            arguments = [
                node.value
                for node in ast.parse(f"f({call['arguments']})", mode="eval").body.args  # type: ignore[attr-defined]
                if isinstance(node, ast.Constant)
            ]
            yield str(arguments[1] if call["name"].startswith(("p", "np")) else arguments[0])


@pytest.mark.parametrize("messages", [python_messages, template_messages], ids=["python", "templates"])
def test_every_marked_text_is_translated(messages: Callable[[], Iterator[str]]) -> None:
    translated = {entry.msgid for entry in polib.pofile(str(CATALOG)).translated_entries()}
    found = set(messages())
    assert len(found) > 20
    assert found - translated == set()
