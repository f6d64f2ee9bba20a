"""Every address of the site as the URL resolver knows it, and a small site on which each of them leads somewhere.

The tests that walk all pages (permissions, fuzzing, queries, languages, markup) take their addresses from here, so a
new one is in all of them as soon as it is in a urls.py. Where an address has a part of a new name, World.values is told
once what stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from fido2 import cose, webauthn
from fido2.utils import websafe_encode

from accounts.models import User
from blog import sharing, writing
from blog.models import Article
from blog.writing import Submission
from moderation import reporting
from notices import unsubscribing
from notices.models import Kind, Notice
from tests.web.accounts.people import a_member
from tests.web.builders import a_category, a_comment, a_user, an_article
from tests.web.uploads.making import a_picture

# Only there in development, where the resolver of the tests has them not.
DEVELOPMENT = ("static/", "mail/", "__debug__/")
PEOPLE = ("anonymous", "other", "owner", "moderator", "staff")
KEY = "key"
PART = re.compile(r"<(?:\w+:)?(\w+)>")


class Route(NamedTuple):
    """An address as a urls.py writes it, and its name (with its namespace), if it has one."""

    path: str
    name: str


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "", space: str = "") -> Iterator[Route]:
    """The routes of `patterns` and of what they include."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, path, f"{space}{pattern.namespace}:" if pattern.namespace else space)
        else:
            yield Route(plain(path), f"{space}{pattern.name or ''}")


def plain(path: str) -> str:
    """A path without the marks of regular expressions: `^a/(?P<b>[x(y)]+)/$` as `a/<b>/`."""
    while (start := path.find("(?P<")) >= 0:
        depth, end, in_class = 0, start, False
        for end in range(start, len(path)):
            in_class = path[end] == "[" or (in_class and path[end] != "]")
            depth += 0 if in_class else {"(": 1, ")": -1}.get(path[end], 0)
            if not depth:
                break
        path = f"{path[:start]}<{path[start + 4 : path.index('>', start)]}>{path[end + 1 :]}"
    return path.replace("^", "").replace("$", "").replace("\\", "")


@cache
def routes() -> dict[str, Route]:
    """All routes by their path; of two that are equal the first, which is the one that answers."""
    found: dict[str, Route] = {}
    for route in walk(get_resolver().url_patterns):
        if not route.path.startswith(DEVELOPMENT):
            found.setdefault(route.path, route)
    return found


def is_inner_admin(path: str) -> bool:
    """Whether a path is one of the pages that Django's admin makes for each model."""
    return path.startswith("admin/")


def own_routes() -> list[str]:
    """The paths of all routes but the admin's."""
    return [path for path in routes() if not is_inner_admin(path)]


@contextmanager
def undone(*browsers: Client) -> Iterator[None]:
    """Nothing that is done in the block remains: neither rows nor, in `browsers`, cookies (some links log out)."""
    cookies = [deepcopy(browser.cookies) for browser in browsers]
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    for browser, kept in zip(browsers, cookies, strict=True):
        browser.cookies = kept


def parts(path: str) -> list[str]:
    """The names of a path's variable parts."""
    return PART.findall(path)


def a_credential() -> dict[str, Any]:
    """A passkey as a browser registers it."""
    key = cose.ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    attested = webauthn.AttestedCredentialData.create(webauthn.Aaguid.NONE, b"passkey", key)
    flags = webauthn.AuthenticatorData.FLAG.AT | webauthn.AuthenticatorData.FLAG.UP
    data = webauthn.AuthenticatorData.create(b"h" * 32, flags, 0, attested)
    client = webauthn.CollectedClientData.create("webauthn.create", b"challenge", "https://testserver")
    response = {
        "clientDataJSON": websafe_encode(client),
        "attestationObject": websafe_encode(webauthn.AttestationObject.create("none", data, {})),
    }
    name = websafe_encode(b"passkey")
    properties = {"credProps": {"rk": True}}
    return {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": properties}


class World:
    """A site on which every address leads somewhere: what belongs to somebody belongs to ann, the owner."""

    def __init__(self) -> None:
        self.owner = a_member("ann", display_name="沈知远")
        self.category = a_category(self.owner)
        self.article = self.written("A title", category=self.category, tags=("nginx", "two words"))
        self.neighbour = an_article(self.owner, "Another title", tags=("nginx",))
        self.trashed = writing.trash(self.written("Thrown away"))
        self.comment = a_comment(self.article, a_user("reader"))
        self.reply = a_comment(self.article, self.owner, parent=self.comment)
        self.notice = Notice.objects.create(recipient=self.owner, kind=Kind.COMMENT, comment=self.comment)
        self.picture = a_picture(self.owner)
        self.report = reporting.report(self.comment, "comment", a_user("reporter"), "spam", "Look at it.")
        self.session = UserSession.objects.create(user=self.owner, ip="192.0.2.1", session_key="k" * 32, user_agent="A")
        self.passkey = Authenticator.objects.create(
            user=self.owner, type=Authenticator.Type.WEBAUTHN, data={"name": "Telephone", "credential": a_credential()}
        )
        self.unverified = EmailAddress.objects.create(user=a_user("newcomer"), email="newcomer@example.org")

    def written(self, title: str, **fields: Any) -> Article:
        """An article of the owner's with a revision, a preview link, and words not saved yet."""
        article = writing.save(
            an_article(self.owner, title, **fields), self.owner, Submission({"body": "Words."}, version=1)
        )
        sharing.share(article, KEY, 7)
        writing.autosave(article, self.owner, title=title, body="More words.", version=article.version, tab="tab")
        return article

    def values(self, path: str) -> dict[str, object]:
        """What stands for the variable parts of `path`. Raises LookupError for a part that nobody has thought of."""
        about = self.trashed if re.search(r"<id:pk>/(delete|restore)/$", path) else self.article
        known: dict[str, object] = {
            "pk": about.pk,
            "number": about.pk,
            "username": self.owner.username,
            "reference": f"{about.pk}-{about.slug}",
            "slug": "notes" if "category" in path else "nginx",
            "name": "Notes" if "category" in path else "two words",
            "year": "2026",
            "month": "05",
            "section": "articles",
            "token": sharing.token_for(about, KEY),
            "content_type_id": 1,
            "object_id": 1,
            "id": 1,
            "app_label": "blog",
            "url": "x",
        }
        for beginning, more in {
            "account/sessions/": {"pk": self.session.pk},
            "account/2fa/webauthn/keys/": {"pk": self.passkey.pk},
            "account/confirm-email/": {"key": EmailConfirmationHMAC(self.unverified).key},
            "account/password/reset/key/": {
                "uidb36": user_pk_to_url_str(self.owner),
                "key": default_token_generator.make_token(User.objects.get(pk=self.owner.pk)),
            },
            "comments/<id:pk>/": {"pk": self.comment.pk if "moderate" in path else self.reply.pk},
            "notifications/": {"pk": self.notice.pk},
            "report/": {"kind": "comment", "pk": self.comment.pk},
            "admin/moderation/report/": {"kind": "comment", "pk": self.comment.pk},
            "unsubscribe/": {"token": unsubscribing.address(self.owner, Kind.COMMENT).split("/")[-2]},
            "write/pictures/": {"pk": self.picture.pk},
            "write/categories/": {"pk": self.category.pk},
            "write/<id:pk>/revisions/": {"number": about.revisions.latest("pk").pk},
            "write/<id:pk>/links/": {"number": about.preview_links.get().pk},
        }.items():
            if path.startswith(beginning):
                known |= more
        missing = [part for part in parts(path) if part not in known]
        if missing:
            raise LookupError(f"tests/web/routes.py: tell World.values what stands for {missing} in {path}")
        return known

    def address(self, path: str) -> str:
        """The address of the route `path` on this site."""
        values = self.values(path)
        return "/" + PART.sub(lambda part: quote(str(values[part[1]]), safe="/"), path)

    def log_in(self, client: Client, person: str) -> User | None:
        """Make `client` the browser of one of PEOPLE, who has just proved the password."""
        if person == "anonymous":
            return None
        user = self.owner if person == "owner" else a_member(person, is_superuser=person == "staff")
        if person in ("moderator", "staff"):
            user.is_staff = True
            user.save()
        if person == "moderator":
            user.groups.add(Group.objects.get_or_create(name="moderators")[0])
        client.force_login(user)
        session = client.session
        record_authentication(SimpleNamespace(session=session), user, "password", reauthenticated=True)
        session.save()
        return user
