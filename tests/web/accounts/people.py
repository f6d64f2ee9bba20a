"""People and browsers for the tests of accounts."""

from __future__ import annotations

import re
from typing import Any

from allauth.account.models import EmailAddress
from django.core import mail
from django.core.signing import TimestampSigner
from django.test import Client
from django.utils import timezone
from django.utils.crypto import get_random_string

from accounts import signup
from accounts.models import User
from tests.web.builders import a_user

PASSWORD = "correct-horse-9"


def a_member(username: str = "ann", **fields: Any) -> User:
    """Somebody with a verified address and PASSWORD."""
    user = a_user(username, **{"email": f"{username}@example.org", "password": PASSWORD, **fields})
    EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return user


def log_in(client: Client, user: User) -> User:
    """Through the form, so that it counts as having just proved the password."""
    response = client.post("/account/login/", {"login": user.username, "password": PASSWORD})
    assert response.status_code == 302, response.text
    return user


def prove_again(client: Client, user: User) -> User:
    """The password once more, as what matters asks for."""
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return user


def token(seconds: float = 60) -> str:
    """The token of a form that was opened that many seconds ago."""

    class Earlier(TimestampSigner):
        def timestamp(self) -> str:
            from django.core.signing import b62_encode

            return b62_encode(int(timezone.now().timestamp() - seconds))

    return Earlier(salt=signup.signer.salt).sign(get_random_string(8))


def proof(of: str) -> str:
    """The number that proves the work for a token."""
    return next(str(number) for number in range(10**7) if signup.is_proof(of, str(number)))


def sign_up(client: Client, **changes: Any) -> Any:
    """Send the sign-up form, filled in as people do, with `changes`."""
    fields = {"username": "newbie", "email": "newbie@example.org", "password1": PASSWORD, "website": "", "work": ""}
    return client.post("/account/signup/", {**fields, "token": token(), **changes})


def mailed_address(part: str) -> str:
    """The path of the newest mail's link that has `part` in it."""
    found = re.search(rf"https://testserver(\S*{part}\S*)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found[1]
