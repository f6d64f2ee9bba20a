"""What the builder does again after a change: no more than what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.build import IMAGES, Build, build, change_python, change_requirement, change_template, remove_images
from tests.stack.containers import RELEASE, build_images
from tests.stack.local import copy_checkout
from tests.stack.needs import needs_docker

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]
# What is too slow to do for a line of the project: each stands in a step of the Dockerfiles as they are.
SLOW = ("apt-install", "pip", "compileall -q -j 0 --invalidation-mode unchecked-hash /venv", "/precompress.py /static")
TAG = f"{RELEASE}-rebuild"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkout whose images are built already."""
    needs_docker()
    build_images()
    yield copy_checkout(tmp_path / "checkout")
    remove_images(TAG)


def slow(done: Build) -> set[str]:
    """The slow steps that were run, by what they call."""
    return {name for name in SLOW for step in done.run if name in step.instruction}


def changed(before: Build, after: Build) -> set[str]:
    """The images that are other ones than before."""
    return {name for name in IMAGES if before.layers[name] != after.layers[name]}


def test_the_steps_that_would_be_slow_are_seen(checkout: Path) -> None:
    steps = build(checkout, TAG).steps
    assert [name for name in SLOW if not any(name in step.instruction for step in steps)] == []


def test_nothing_is_done_again_when_nothing_has_changed(checkout: Path) -> None:
    before = build(checkout, TAG)
    after = build(checkout, TAG)
    assert after.run == []
    assert changed(before, after) == set()


@pytest.mark.parametrize("change", [change_template, change_python])
def test_a_line_of_the_project_installs_and_compiles_no_package(checkout: Path, change: Callable[[Path], None]) -> None:
    before = build(checkout, TAG)
    change(checkout)
    after = build(checkout, TAG)
    assert {step.stage for step in after.run} == {"application", "web"}
    assert slow(after) == set()
    assert changed(before, after) == {"web"}
    # The project is the last layer; what lies below it, its static files among it, is the same.
    assert after.layers["web"][:-1] == before.layers["web"][:-1]
    assert after.layers["web"][-1] != before.layers["web"][-1]


def test_a_requirement_installs_no_package_of_debian(checkout: Path) -> None:
    before = build(checkout, TAG)
    change_requirement(checkout)
    after = build(checkout, TAG)
    assert "pip" in slow(after)
    assert "apt-install" not in slow(after)
    assert {step.stage for step in after.run} <= {"environment", "runtime", "application", "static", "web"}
    assert changed(before, after) == {"web"}
