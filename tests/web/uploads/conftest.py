"""What tests of pictures get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """A media directory of its own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"
