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
from tests.stack.sharing import finish, last_users, shared, together

FULL = os.environ.get("CHAOS") == "full"

LAST_USERS = pytest.StashKey[dict[pytest.Item, set[str]]]()
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"


@pytest.fixture(scope="session")
def local_prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The local engine with production settings and the sample content, in a path with spaces and Chinese."""
    checkout = copy_checkout(tmp_path_factory.mktemp("a stack 码头"))
    stack = LocalStack(checkout, "prod")
    with shared("local_prod", stack.stop):
        stack.start()
        stack.manage("seed")
        yield stack


@pytest.fixture(scope="session", params=["local", "docker"])
def stack(request: pytest.FixtureRequest) -> LocalStack:
    """The production stack, on each engine in turn."""
    return request.getfixturevalue(f"{request.param}_prod")


# After pytest has put together what shares a parameter.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only CHAOS=full runs, unless a test is asked for by its name; sort by the shared stacks."""
    if not FULL and not any("::" in argument for argument in config.args):
        left_out = [item for item in items if item.get_closest_marker("full")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]
    items[:] = together(items)
    config.stash[LAST_USERS] = last_users(items)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """End the shared stacks that no later test uses."""
    for name in item.config.stash[LAST_USERS].get(item, ()):
        finish(name)
