"""Run in the Django shell of a stack: prints, as one line of JSON, how long each search takes in ms (all of its runs).

That is understanding the query, asking the index and ranking; not the page around it.
"""

from __future__ import annotations

import json
import sys
import time

from blog.models import Article
from blog.search import Search

RUNS = 31


def measure(query: str) -> list[float]:
    """The times of all runs but the first."""
    times = []
    for _ in range(RUNS):
        started = time.monotonic()
        Search(query).find(Article.objects.published())
        times.append((time.monotonic() - started) * 1000)
    return times[1:]


queries = ["54321", "特殊", "processor", "nginx 特殊", "数据"]
sys.stdout.write(json.dumps({query: measure(query) for query in queries}, ensure_ascii=False) + "\n")
