"""How much load a stack carries easily just now."""

from __future__ import annotations

import time
from typing import Any

from tests.stack.http import Client

# Above half of it the queue would be measured.
SHARE_OF_CAPACITY = 0.25


def easy_rate(client: Client, wanted: dict[str, Any], most: float = 20, share: float = SHARE_OF_CAPACITY) -> float:
    """Requests a second of the load `wanted` (tests.stack.load), measured with a few in a row; at least 4.

    `share`: of what two processes can do at most.
    """
    times: list[float] = []
    for _, path, weight in wanted["paths"]:
        for _ in range(2):
            started = time.monotonic()
            assert client.get(path).status == 200, path
            times += [time.monotonic() - started] * weight
    return max(4.0, min(most, share * 2 * len(times) / sum(times)))
