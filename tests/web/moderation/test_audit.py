"""The audit log: what is in it, and that nothing leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from allauth.account.models import EmailAddress
from django.db import DatabaseError, connection, transaction
from django.test import Client

from accounts.models import User
from blog.models import Tag
from moderation import audit
from moderation.migrations import __name__ as migrations
from moderation.models import AuditEntry
from tests.database import ENVIRONMENT, SECRETS
from tests.web.accounts.people import PASSWORD, a_member, log_in, prove_again, sign_up
from tests.web.builders import a_comment, a_user, an_article
from tests.web.moderation.people import a_person, browser_of

LOG = "/admin/moderation/auditentry/"
CHANGES = [
    "UPDATE moderation_auditentry SET actor = 'nobody'",
    "DELETE FROM moderation_auditentry",
    "TRUNCATE moderation_auditentry",
]


def actions() -> list[str]:
    """What was recorded, oldest first."""
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


# --- Append-only


@pytest.mark.django_db
@pytest.mark.parametrize("statement", CHANGES)
def test_even_the_owner_of_the_table_cannot_change_it(statement: str) -> None:
    audit.record("login", a_user("ann"))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE moderation_auditentry ENABLE TRIGGER audit_no_truncate")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
    assert AuditEntry.objects.get().object_text == "ann"


@pytest.fixture
def application(transactional_db: None) -> Iterator[Any]:
    """A connection as slipway_app, with the rights that the default privileges and the migration give it."""
    from importlib import import_module

    migration = import_module(f"{migrations}.0001_initial")
    with connection.cursor() as cursor:
        cursor.execute("GRANT USAGE ON SCHEMA public TO slipway_app")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON moderation_auditentry TO slipway_app")
        cursor.execute(migration.APPLICATION_ONLY_APPENDS)
    connected = psycopg2.connect(
        host=ENVIRONMENT["DATABASE_HOST"],
        port=ENVIRONMENT["DATABASE_PORT"],
        dbname=connection.settings_dict["NAME"],
        user="slipway_app",
        password=(SECRETS / "app_password").read_text().strip(),
    )
    connected.autocommit = True
    yield connected.cursor()
    connected.close()
    with connection.cursor() as cursor:
        cursor.execute("REVOKE ALL ON moderation_auditentry FROM slipway_app")
        cursor.execute("REVOKE USAGE ON SCHEMA public FROM slipway_app")


@pytest.mark.parametrize("statement", CHANGES)
def test_the_applications_role_can_append_and_read_and_no_more(statement: str, application: Any) -> None:
    columns = "at, actor, action, object_type, object_id, object_text, detail, address, request_id"
    values = "now(), 'ann', 'login', '', '', '', '{}', '', ''"
    application.execute(f"INSERT INTO moderation_auditentry ({columns}) VALUES ({values})")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
        application.execute(statement)
    application.execute("SELECT actor FROM moderation_auditentry")
    assert application.fetchall() == [("ann",)]


# --- What is recorded


@pytest.mark.django_db
def test_an_entry_says_who_what_when_from_where(client: Client) -> None:
    request_id = "0" * 31 + "f"
    user = a_member("ann")
    fields = {"login": "ann", "password": PASSWORD}
    client.post("/account/login/", fields, REMOTE_ADDR="203.0.113.77", headers={"x-request-id": request_id})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_id, entry.action) == ("ann", user.pk, "login")
    assert (entry.object_type, entry.object_id, entry.object_text) == ("accounts.user", str(user.pk), "ann")
    assert (entry.address, entry.request_id) == ("203.0.113.0", request_id)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("::ffff:203.0.113.7", "203.0.113.0"),
        ("", ""),
    ],
)
def test_of_an_address_the_network_is_kept(address: str, network: str, rf: Any) -> None:
    assert audit.network_of(rf.get("/", REMOTE_ADDR=address)) == network


@pytest.mark.django_db
def test_an_action_that_the_log_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="ACTIONS"):
        audit.record("dance")


@pytest.mark.django_db
def test_odd_texts_are_kept_as_they_can_be() -> None:
    entry = audit.record("login", detail={"a": "x\0\ud800" + "y" * 900, "b": [1, None, True, {"c": 1.5}]})
    entry.refresh_from_db()
    assert len(entry.detail["a"]) == audit.LONGEST_DETAIL
    assert entry.detail["b"] == [1, None, True, {"c": "1.5"}]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "whose"), [("ann", "ann"), ("ANN@example.org", "ann"), ("my-secret-password", ""), ("\0", "")]
)
def test_a_failed_log_in_is_recorded_without_what_was_typed(typed: str, whose: str, client: Client) -> None:
    a_member("ann")
    client.post("/account/login/", {"login": typed, "password": "wrong-one"})
    entries = AuditEntry.objects.filter(action="login.failed")
    assert {entry.object_text for entry in entries} <= {whose}
    assert entries.exists() or typed == "\0"
    assert not any(secret in str(vars(entry)) for entry in entries for secret in ("secret", "wrong-one", "@"))


@pytest.mark.django_db
def test_ones_own_account_is_in_it_without_secrets(client: Client) -> None:
    user = log_in(client, a_member("ann"))
    prove_again(client, user)
    new = "another-horse-10"
    client.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    client.post("/account/email/", {"action_add": "", "email": "new@example.org"})
    client.post("/account/username/", {"username": "berta"})
    client.post("/account/logout/")
    assert {"login", "password.changed", "email.added", "user.renamed", "logout"} <= set(actions())
    everything = str([vars(entry) for entry in AuditEntry.objects.all()])
    assert not any(secret in everything for secret in (PASSWORD, new, "@example.org"))
    assert AuditEntry.objects.get(action="user.renamed").detail == {"from": "ann", "to": "berta"}


@pytest.mark.django_db
def test_signing_up_is_in_it(client: Client) -> None:
    sign_up(client)
    assert "user.signed_up" in actions()


@pytest.mark.django_db
def test_the_entries_outlive_the_account(client: Client) -> None:
    user = log_in(client, a_member("ann"))
    client.post("/account/delete/", {"password": PASSWORD, "sure": "on"})
    assert not User.objects.exists()
    entry = AuditEntry.objects.get(action="user.deleted")
    assert (entry.actor, entry.actor_id) == ("ann", user.pk)


@pytest.mark.django_db
def test_the_admin_tells_it_what_it_adds_changes_and_deletes() -> None:
    chief = browser_of("chief")
    for name in ("one", "two", "three"):
        chief.post("/admin/blog/tag/add/", {"name": name})
    tags = list(Tag.objects.order_by("pk"))
    chief.post(f"/admin/blog/tag/{tags[0].pk}/change/", {"name": "uno", "slug": "one"})
    chief.post(
        "/admin/blog/tag/", {"action": "delete_selected", "_selected_action": [tags[1].pk, tags[2].pk], "post": "yes"}
    )
    chief.post(f"/admin/blog/tag/{tags[0].pk}/delete/", {"post": "yes"})
    assert actions()[-7:] == [*["admin.added"] * 3, "admin.changed", *["admin.deleted"] * 3]
    changed = AuditEntry.objects.get(action="admin.changed")
    assert (changed.actor, changed.object_type, changed.object_text) == ("chief", "blog.tag", "uno")
    assert changed.detail == {"changes": [{"changed": ["Name"]}]}


@pytest.mark.django_db
def test_actions_of_the_lists_are_in_it() -> None:
    comment = a_comment(an_article())
    browser_of("moderator").post("/admin/blog/comment/", {"action": "hide", "_selected_action": [comment.pk]})
    entry = AuditEntry.objects.get(action="admin.action")
    assert entry.detail == {"action": "hide", "of": "blog.comment", "ids": [str(comment.pk)]}


@pytest.mark.django_db
def test_models_of_others_are_covered_too_without_addresses() -> None:
    user = a_member("ann")
    address = EmailAddress.objects.get(user=user)
    entry = audit.record("admin.deleted", address)
    assert (entry.object_type, entry.object_text) == ("account.emailaddress", "ann")


@pytest.mark.django_db
def test_a_change_of_rights_is_an_entry_of_its_own() -> None:
    chief = browser_of("chief")
    user = a_person("ann")
    page = chief.get(f"/admin/accounts/user/{user.pk}/change/")
    values = {k: v for k, v in page.context["adminform"].form.initial.items() if isinstance(v, str) and v}
    from django.contrib.auth.models import Group

    group = Group.objects.get(name="moderators")
    fields = {**values, "is_staff": "on", "groups": [group.pk]}
    response = chief.post(f"/admin/accounts/user/{user.pk}/change/", fields)
    assert response.status_code == 302, response.context["adminform"].errors
    entry = AuditEntry.objects.get(action="user.role")
    assert entry.detail == {"is_staff": [False, True], "groups": [[], ["moderators"]]}


# --- In the admin


@pytest.mark.django_db
@pytest.mark.parametrize("person", ["", "other", "staff", "moderator", "chief"])
def test_who_may_read_it_and_nobody_writes(person: str) -> None:
    entry = audit.record("login", a_person("ann"))
    browser = browser_of(person)
    expected = 200 if person in ("moderator", "chief") else 302 if not person else 403
    for path in ("", f"{entry.pk}/change/"):
        assert browser.get(LOG + path, follow=person == "other").status_code == expected
    for path in ("add/", f"{entry.pk}/delete/", f"{entry.pk}/change/"):
        status = browser.post(LOG + path, {"post": "yes", "actor": "x"}, follow=person == "other").status_code
        assert status == (302 if not person else 403)


@pytest.mark.django_db
def test_it_is_found_by_actor_object_and_request() -> None:
    browser = browser_of("chief")
    audit.record("user.renamed", a_user("ann"), actor=a_user("bob"))
    for query in (
        "q=BOB",
        f"q={a_user('ann').pk}",
        "did=user.renamed",
        "of=accounts.user",
        "at__gte=2026-01-01T00:00:00%2B00:00",
    ):
        found = browser.get(f"{LOG}?{query}").context["cl"].result_list
        assert "user.renamed" in {entry.action for entry in found}, query
    assert not browser.get(f"{LOG}?q=nobody").context["cl"].result_list
    for query in ("q=%00", "did=%00", "of=%00", "did=x", "p=abc"):
        assert browser.get(f"{LOG}?{query}", follow=True).status_code == 200
