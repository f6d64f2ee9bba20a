"""The error pages when nothing else works."""

from __future__ import annotations

from typing import Any

from django.test import Client


def test_the_500_page_needs_no_database(client: Client) -> None:
    # Without the database mark, pytest-django makes the first query fail.
    response = client.get("/")
    assert response.status_code == 500
    assert "出错了" in response.text


def test_the_500_page_has_its_stylesheet(client: Client) -> None:
    assert '<link rel="stylesheet" href="/static/site.css">' in client.get("/").text


def test_the_500_page_needs_no_stylesheet_either(client: Client, settings: Any) -> None:
    # Production's storage, and nothing was collected: the stylesheet has no name.
    backend = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    response = client.get("/")
    assert response.status_code == 500
    assert "出错了" in response.text


def test_the_500_page_needs_no_session_either(client: Client) -> None:
    client.cookies["sessionid"] = "x" * 32
    assert client.get("/").status_code == 500


def test_the_400_page_needs_no_database(client: Client) -> None:
    response = client.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "<html" in response.text
