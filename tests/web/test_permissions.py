"""Who may open what: every address of the site, by every kind of person, by GET and by POST.

A new address fails test_every_address_has_a_row, which says the line to add. Each cell is what GET and what an empty
POST are answered with: a status, `login` for a redirect there, `again` for one that asks for the password once more.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.web.routes import PEOPLE, World, is_inner_admin, own_routes, routes

pytestmark = pytest.mark.django_db

#                                                      anonymous   other       owner       moderator   staff
MATRIX = """
account/                                               login/login 200/200     200/200     200/200     200/200
account/username/                                      login/login 200/200     200/200     200/200     200/200
account/delete/                                        login/login 200/200     200/200     200/200     200/200
account/login/                                         200/200     302/302     302/302     302/302     302/302
account/logout/                                        302/302     200/302     200/302     200/302     200/302
account/signup/                                        200/200     302/302     302/302     302/302     302/302
account/email/                                         login/login 200/302     200/302     200/302     200/302
account/password/reset/                                200/200     200/200     200/200     200/200     200/200
account/password/change/                               login/login 200/200     200/200     200/200     200/200
account/reauthenticate/                                login/login 200/200     200/200     200/200     200/200
account/2fa/authenticate/                              login/login 302/302     302/302     302/302     302/302
account/2fa/reauthenticate/                            login/login again/again again/again again/again again/again
account/sessions/<int:pk>/end/                         login/login 405/404     405/302     405/404     405/404
account/inactive/                                      200/405     200/405     200/405     200/405     200/405
account/confirm-email/                                 200/405     200/405     200/405     200/405     200/405
account/password/set/                                  login/login 302/302     302/302     302/302     302/302
account/login/code/confirm/                            login/login 302/302     302/302     302/302     302/302
account/confirm-email/<key>/                           200/login   200/login   200/login   200/login   200/login
account/password/reset/key/done/                       200/405     200/405     200/405     200/405     200/405
account/password/reset/key/<uidb36>-<key>/             302/302     302/302     302/302     302/302     302/302
account/password/reset/done/                           200/405     200/405     200/405     200/405     200/405
account/2fa/                                           login/login 200/405     200/405     200/405     200/405
account/2fa/totp/activate/                             login/login 200/200     200/200     200/200     200/200
account/2fa/totp/deactivate/                           login/login 404/404     404/404     404/404     404/404
account/2fa/recovery-codes/                            login/login 404/405     404/405     404/405     404/405
account/2fa/recovery-codes/generate/                   login/login 200/200     200/302     200/200     200/200
account/2fa/recovery-codes/download/                   login/login 404/404     404/404     404/404     404/404
account/2fa/webauthn/                                  login/login 200/405     200/405     200/405     200/405
account/2fa/webauthn/add/                              login/login 200/200     200/200     200/200     200/200
account/2fa/webauthn/reauthenticate/                   login/login again/again 200/login   again/again again/again
account/2fa/webauthn/keys/<int:pk>/remove/             login/login 404/404     200/302     404/404     404/404
account/2fa/webauthn/keys/<int:pk>/edit/               login/login 404/404     200/200     404/404     404/404
account/2fa/webauthn/login/                            login/login 302/302     302/302     302/302     302/302
account/sessions/                                      login/login 200/302     200/302     200/302     200/302
i18n/setlang/                                          405/302     405/302     405/302     405/302     405/302
preferences/theme/                                     405/400     405/400     405/400     405/400     405/400
write/                                                 login/login 200/405     200/405     200/405     200/405
write/new/                                             login/login 200/422     200/422     200/422     200/422
write/new/autosave/                                    login/login 405/200     405/200     405/200     405/200
write/new/discard/                                     login/login 405/302     405/302     405/302     405/302
write/blog/                                           login/login 200/302     200/302     200/302     200/302
write/categories/                                     login/login 200/422     200/422     200/422     200/422
write/categories/<id:pk>/                             login/login 404/404     200/422     404/404     404/404
write/categories/<id:pk>/delete/                      login/login 404/404     200/302     404/404     404/404
write/preview/                                         login/login 405/200     405/200     405/200     405/200
write/<id:pk>/                                         login/login 404/404     200/422     404/404     200/422
write/<id:pk>/autosave/                                login/login 405/404     405/200     405/404     405/200
write/<id:pk>/discard/                                 login/login 405/404     405/302     405/404     405/302
write/<id:pk>/trash/                                   login/login 405/404     405/302     405/404     405/302
write/<id:pk>/restore/                                 login/login 405/404     405/302     405/404     405/302
write/<id:pk>/delete/                                  login/login 404/404     200/302     404/404     200/302
write/<id:pk>/revisions/                               login/login 404/405     200/405     404/405     200/405
write/<id:pk>/revisions/<id:number>/                   login/login 404/405     200/405     404/405     200/405
write/<id:pk>/revisions/<id:number>/restore/           login/login 405/404     405/302     405/404     405/302
write/<id:pk>/links/                                   login/login 404/404     200/422     404/404     200/422
write/<id:pk>/links/<id:number>/revoke/                login/login 405/404     405/302     405/404     405/302
write/comments/                                        login/login 200/400     200/400     200/400     200/400
write/blocked/                                         login/login 200/404     200/404     200/404     200/404
write/pictures/                                        login/login 200/422     200/422     200/422     200/422
write/pictures/<id:pk>/                                login/login 404/404     200/302     404/404     200/302
write/pictures/<id:pk>/delete/                         login/login 404/404     200/302     404/404     200/302
report/<kind>/<pk>/                                    login/login 200/422     200/422     200/422     200/422
notifications/                                         login/login 200/405     200/405     200/405     200/405
notifications/read/                                    login/login 405/302     405/302     405/302     405/302
notifications/settings/                                login/login 200/302     200/302     200/302     200/302
notifications/<id:pk>/                                 login/login 404/405     302/405     404/405     404/405
unsubscribe/<token>/                                   200/200     200/200     200/200     200/200     200/200
comments/<id:pk>/                                      302/405     302/405     302/405     302/405     302/405
comments/<id:pk>/edit/                                 login/login 404/404     200/422     404/404     404/404
comments/<id:pk>/delete/                               login/login 404/404     200/302     404/404     404/404
comments/<id:pk>/moderate/                             login/login 405/403     405/400     405/403     405/400
comments/on/<id:pk>/                                   login/login 405/422     405/422     405/422     405/422
votes/<id:pk>/                                         login/login 405/400     405/400     405/400     405/400
preview/<token>/                                       200/405     200/405     200/405     200/405     200/405
(front)                                                200/405     200/405     200/405     200/405     200/405
index/                                                 301/405     301/405     301/405     301/405     301/405
robots.txt                                             200/405     200/405     200/405     200/405     200/405
sitemap.xml                                            200/405     200/405     200/405     200/405     200/405
sitemap-<slug:section>.xml                             200/405     200/405     200/405     200/405     200/405
feed.atom                                              200/405     200/405     200/405     200/405     200/405
feed.rss                                               200/405     200/405     200/405     200/405     200/405
search/                                                200/405     200/405     200/405     200/405     200/405
tag/<uslug:slug>/                                      200/405     200/405     200/405     200/405     200/405
tag/<uslug:slug>/feed.atom                             200/405     200/405     200/405     200/405     200/405
tag/<uslug:slug>/feed.rss                              200/405     200/405     200/405     200/405     200/405
<year:year>/<month:month>/                             200/405     200/405     200/405     200/405     200/405
<username:username>/                                   200/405     200/405     200/405     200/405     200/405
<username:username>/feed.atom                          200/405     200/405     200/405     200/405     200/405
<username:username>/feed.rss                           200/405     200/405     200/405     200/405     200/405
<username:username>/category/<uslug:slug>/             200/405     200/405     200/405     200/405     200/405
<username:username>/tag/<uslug:slug>/                  200/405     200/405     200/405     200/405     200/405
<username:username>/<year:year>/<month:month>/         200/405     200/405     200/405     200/405     200/405
<username:username>/<article:reference>/               200/405     200/405     200/405     200/405     200/405
<username:username>/articles/<number:number>           301/405     301/405     301/405     301/405     301/405
<username:username>/articles/<number:number>/          301/405     301/405     301/405     301/405     301/405
<username:username>/archive/<year:year>/<month:month>  301/405     301/405     301/405     301/405     301/405
<username:username>/archive/<year:year>/<month:month>/ 301/405     301/405     301/405     301/405     301/405
<username:username>/tag/<name:name>                    301/405     301/405     301/405     301/405     301/405
<username:username>/tag/<name:name>/                   301/405     301/405     301/405     301/405     301/405
<username:username>/category/<name:name>               301/405     301/405     301/405     301/405     301/405
<username:username>/category/<name:name>/              301/405     301/405     301/405     301/405     301/405
"""
HOME = "(front)"
TABLE = {
    cells[0].replace(HOME, ""): dict(zip(PEOPLE, cells[1:], strict=True))
    for cells in (line.split() for line in MATRIX.strip().splitlines())
}
# Buttons that stand on pages without a token: they ask for the Origin instead (config.preferences.same_origin).
BY_ORIGIN = {"account/logout/", "i18n/setlang/", "preferences/theme/"}
# What mail programs send by themselves (RFC 8058); its address is signed.
BY_SIGNATURE = {"unsubscribe/<token>/"}
# What an empty POST lacks to be taken.
FIELDS = {
    "write/new/autosave/": {"version": "2", "tab": "tab"},
    "write/<id:pk>/autosave/": {"version": "2", "tab": "tab"},
}


def said(response: Any) -> str:
    """The answer as the table writes it."""
    location = response.headers.get("Location", "")
    if response.status_code == 302 and location.startswith(("/account/login/", "/admin/login/")):
        return "login"
    if response.status_code == 302 and "/reauthenticate/" in location:
        return "again"
    return str(response.status_code)


def answers(world: World, client: Client, path: str, person: str) -> str:
    """What `person` gets from `path`, by GET and by POST."""
    world.log_in(client, person)
    return "/".join(
        said(answer)
        for answer in (client.get(world.address(path)), client.post(world.address(path), FIELDS.get(path, {})))
    )


def a_browser(**options: Any) -> Client:
    """A browser without anybody in it."""
    headers = {"x-forwarded-proto": "https", "host": "testserver"}
    return Client(raise_request_exception=False, headers=headers, **options)


def test_every_address_has_a_row(world: World) -> None:
    for path in own_routes():
        if path not in TABLE:
            cells = []
            for person in PEOPLE:
                with transaction.atomic():
                    cells.append(answers(world, a_browser(), path, person))
                    transaction.set_rollback(True)
            row = " ".join(cell.ljust(11) for cell in cells)
            pytest.fail(f"if all of this is meant, add to MATRIX:\n{path:53} {row}")


def test_every_row_has_an_address() -> None:
    assert [path for path in TABLE if path not in routes()] == []


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("path", TABLE, ids=[path or HOME for path in TABLE])
def test_each_gets_what_the_table_says(world: World, client: Client, path: str, person: str) -> None:
    assert answers(world, client, path, person) == TABLE[path][person]


@pytest.mark.parametrize(
    "path", [path for path in TABLE if path not in BY_ORIGIN | BY_SIGNATURE], ids=lambda path: path or HOME
)
def test_no_form_is_taken_without_its_token(world: World, path: str) -> None:
    browser = a_browser(enforce_csrf_checks=True)
    world.log_in(browser, "owner")
    assert browser.post(world.address(path), FIELDS.get(path, {})).status_code in (403, 405)


@pytest.mark.parametrize("path", sorted(BY_ORIGIN))
def test_no_button_of_another_site_is_pressed(world: World, client: Client, path: str) -> None:
    world.log_in(client, "owner")
    assert client.post(world.address(path), headers={"origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("person", ["anonymous", "owner", "staff"])
@pytest.mark.parametrize("path", TABLE, ids=[path or HOME for path in TABLE])
def test_no_get_changes_anything(world: World, client: Client, path: str, person: str) -> None:
    world.log_in(client, person)
    with CaptureQueriesContext(connection) as captured:
        client.get(world.address(path))
    written = [query["sql"] for query in captured if re.match(r"INSERT|UPDATE|DELETE", query["sql"])]
    # What a visit keeps of itself, and that a notification was opened, is nobody's work.
    assert [
        sql
        for sql in written
        if not re.search(r'"(django_session|usersessions_usersession|moderation_auditentry|notices_notice)"', sql)
    ] == []


@pytest.mark.parametrize("person", [person for person in PEOPLE if person not in ("moderator", "staff")])
def test_the_admin_is_closed_to_all_but_staff(world: World, client: Client, person: str) -> None:
    world.log_in(client, person)
    # Logging out leads to the admin, which asks again.
    for path in (path for path in routes() if is_inner_admin(path) and path != "admin/logout/"):
        for method in (client.get, client.post):
            assert said(method(world.address(path))) in ("login", "403"), path


@pytest.mark.parametrize("person", ["moderator", "staff"])
def test_no_page_of_the_admin_breaks(world: World, client: Client, person: str) -> None:
    world.log_in(client, person)
    for path in filter(is_inner_admin, routes()):
        assert client.get(world.address(path)).status_code < 500, path
