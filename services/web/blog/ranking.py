"""The score by which articles are recommended: votes against age, stored when it changes, indexed, never recomputed.

    score = sign(v) · log10(1 + min(|v|, 30)) + (first published − epoch) / 14 days        v = up-votes − down-votes

The shape is that of Bear Blog's discovery feed (HermanMartinus/bearblog: log10 of at most 30 up-votes plus the date in
units of 14 days), which follows Reddit's "hot" (log10 of the net votes plus the date in units of 12.5 hours; Amir
Salihefendić, "How Reddit ranking algorithms work", 2010). Here down-votes count too. The term of time depends on the
date of first publication alone, so the order of two articles changes by votes and never because the clock went on; ten
times the votes are worth fourteen days; changing `published_at` later does not lift an article.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
SECONDS_PER_POINT = 14 * 24 * 60 * 60
MOST_VOTES = 30


def score(up: int, down: int, first_published_at: datetime | None) -> float:
    """The score of an article with `up` and `down` votes; 0 before its first publication."""
    if first_published_at is None:
        return 0.0
    net = up - down
    votes = math.copysign(math.log10(1 + min(abs(net), MOST_VOTES)), net)
    return votes + (first_published_at - EPOCH).total_seconds() / SECONDS_PER_POINT
