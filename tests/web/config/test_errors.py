"""The answer to what breaks inside of a view."""

from __future__ import annotations

import errno

import pytest
from django.db import InterfaceError, OperationalError
from django.test import RequestFactory

from config.errors import server_error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationalError("server closed the connection unexpectedly"), 503),
        (InterfaceError("connection already closed"), 503),
        (OSError(errno.ENOSPC, "No space left on device"), 503),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 503),
        (OSError(errno.EACCES, "Permission denied"), 500),
        (ValueError("a fault"), 500),
    ],
)
def test_what_passes_by_itself_is_a_503_with_the_time_to_come_back(error: Exception, status: int) -> None:
    try:
        raise error
    except type(error):
        response = server_error(RequestFactory().post("/", {"text": "what was typed"}))
    assert response.status_code == status
    assert ("Retry-After" in response) == (status == 503)
    assert "no-store" in response["Cache-Control"]
    assert "what was typed" in response.text
    assert ("马上回来" if status == 503 else "服务器出错了") in response.text
