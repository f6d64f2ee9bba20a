"""The running stacks that the scenarios use; each engine's is started once for the whole session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.backups import backed_up  # noqa: F401  (fixtures)
from tests.stack.containers import docker_prod, images  # noqa: F401  (fixtures)
from tests.stack.deploys import deploys  # noqa: F401  (fixture)
from tests.stack.disks import disks  # noqa: F401  (fixture)
from tests.stack.local import LocalStack, copy_checkout

FULL = os.environ.get("CHAOS") == "full"
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@pytest.fixture(scope="session")
def local_prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The local engine with production settings and the sample content, in a path with spaces and Chinese."""
    checkout = copy_checkout(tmp_path_factory.mktemp("a stack 码头"))
    stack = LocalStack(checkout, "prod")
    stack.start()
    try:
        stack.manage("seed")
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session", params=["local", "docker"])
def stack(request: pytest.FixtureRequest) -> LocalStack:
    """The production stack, on each engine in turn."""
    return request.getfixturevalue(f"{request.param}_prod")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only CHAOS=full runs, unless a test is asked for by its name."""
    if FULL or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
