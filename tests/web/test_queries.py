"""Each page says somewhere how many questions it asks the database: a new address without a number fails here.

The tables of the tests that count on pages of any length are collected; what is in none of them is counted here, as the
owner of the small site of tests.web.routes sees it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from tests.web.accounts import test_security
from tests.web.blog import test_desk, test_gallery, test_queries, test_responding, test_shelves
from tests.web.notices import test_views
from tests.web.routes import World, own_routes, plain, undone

pytestmark = pytest.mark.django_db

TABLES: list[dict[str, int]] = [
    test_queries.PAGES,
    test_desk.QUERIES,
    test_gallery.QUERIES,
    test_responding.QUERIES,
    test_shelves.QUERIES,
    test_security.QUERIES,
    test_views.QUERIES,
]
# What the others have not. Most ask for session and user first and for unread notifications last; a changed session
# takes three (a savepoint around its row).
QUERIES = {
    "account/username/": 4,
    "account/delete/": 4,
    "account/logout/": 3,
    "account/email/": 7,
    "account/password/change/": 3,
    "account/reauthenticate/": 9,
    "account/2fa/authenticate/": 2,
    "account/2fa/reauthenticate/": 5,
    "account/inactive/": 3,
    "account/confirm-email/": 3,
    "account/password/set/": 2,
    "account/login/code/confirm/": 2,
    "account/confirm-email/<key>/": 8,
    "account/password/reset/key/done/": 3,
    "account/password/reset/key/<uidb36>-<key>/": 7,
    "account/password/reset/done/": 3,
    "account/2fa/totp/activate/": 11,
    "account/2fa/totp/deactivate/": 4,
    "account/2fa/recovery-codes/": 4,
    "account/2fa/recovery-codes/generate/": 7,
    "account/2fa/recovery-codes/download/": 4,
    "account/2fa/webauthn/": 4,
    "account/2fa/webauthn/add/": 12,
    "account/2fa/webauthn/reauthenticate/": 13,
    "account/2fa/webauthn/keys/<int:pk>/remove/": 7,
    "account/2fa/webauthn/keys/<int:pk>/edit/": 7,
    "account/2fa/webauthn/login/": 2,
    "account/sessions/": 6,
    "write/<id:pk>/delete/": 4,
    "report/<kind>/<pk>/": 4,
    "notifications/<id:pk>/": 4,
    "unsubscribe/<token>/": 3,
    "preview/<token>/": 5,
    "index/": 0,
    "comments/<id:pk>/": 7,
    "comments/<id:pk>/edit/": 7,
    "comments/<id:pk>/delete/": 7,
    "<username:username>/articles/<number:number>": 2,
    "<username:username>/articles/<number:number>/": 2,
    "<username:username>/archive/<year:year>/<month:month>": 1,
    "<username:username>/archive/<year:year>/<month:month>/": 1,
    "<username:username>/tag/<name:name>": 2,
    "<username:username>/tag/<name:name>/": 2,
    "<username:username>/category/<name:name>": 2,
    "<username:username>/category/<name:name>/": 3,
}


def route_of(address: str) -> str:
    """The route of an address as the tables write it."""
    path = re.sub(r"\b(ID|REVISION)\b", "1", address.replace("ARTICLE", "/ann/1-a/")).partition("?")[0]
    return plain(resolve(path).route)


def elsewhere() -> set[str]:
    """The routes that another table states; /healthz is answered before there is one."""
    return {route_of(address) for table in TABLES for address in table if address != "/healthz"}


def pages(world: World, client: Client) -> list[str]:
    """The routes that answer a visit."""
    world.log_in(client, "owner")
    found = []
    for path in own_routes():
        with undone(client):
            if client.get(world.address(path)).status_code != 405:
                found.append(path)
    return found


def test_every_page_states_its_queries_once(world: World, client: Client) -> None:
    found = pages(world, client)
    stated = elsewhere()
    assert [path for path in found if path not in stated | set(QUERIES)] == []
    assert [path for path in QUERIES if path in stated or path not in found] == []


@pytest.mark.parametrize("path", QUERIES)
def test_a_page_makes_this_many_queries(world: World, client: Client, queries_of: Any, path: str) -> None:
    world.log_in(client, "owner")
    client.get("/")
    address = world.address(path)
    with queries_of(QUERIES[path]):
        client.get(address)
