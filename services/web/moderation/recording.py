"""What the audit log takes from the signals of Django and allauth."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Q
from django.dispatch import Signal

from accounts.deletion import account_leaves
from accounts.models import User
from accounts.suspending import forget_past
from moderation import audit

# Signals that come with `user`, and what each is called in the log.
BY_USER: dict[str, Signal] = {
    "login": user_logged_in,
    "logout": user_logged_out,
    "password.changed": account.password_changed,
    "password.reset": account.password_reset,
    "email.added": account.email_added,
    "email.changed": account.email_changed,
    "email.removed": account.email_removed,
    "user.signed_up": account.user_signed_up,
    "user.deleted": account_leaves,
    "factor.added": mfa.authenticator_added,
    "factor.removed": mfa.authenticator_removed,
    "factor.reset": mfa.authenticator_reset,
}


def record_signal(action: str, user: User | None, **sent: Any) -> None:
    """Write down what `user` did to the own account, and of a second factor which kind it is."""
    if user is None:
        return
    factor = sent.get("authenticator")
    audit.record(
        action,
        user,
        actor=user,
        request=sent.get("request"),
        detail={"type": factor.type} if factor is not None else None,
    )


def record_failure(credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    """Write down a failed log-in, and whose: what was typed where no such account is may be a password."""
    typed = str(credentials.get("username") or credentials.get("email") or "").replace("\0", "").lower()[:320]
    user = User.objects.filter(Q(username__lower=typed) | Q(email__lower=typed)).first() if typed else None
    audit.record("login.failed", user, request=request)


def record_wrong_code(user: User, request: Any = None, **_: Any) -> None:
    """Write down a wrong second factor."""
    audit.record("login.failed", user, request=request, detail={"step": "second factor"})


def record_confirmation(email_address: Any, request: Any = None, **_: Any) -> None:
    """Write down that an address was confirmed, not which."""
    audit.record("email.confirmed", email_address.user, actor=email_address.user, request=request)


def connect() -> None:
    """Connect the receivers."""
    for action, signal in BY_USER.items():

        def receive(sender: object, action: str = action, user: User | None = None, **sent: Any) -> None:
            record_signal(action, user, **sent)

        signal.connect(receive, weak=False, dispatch_uid=f"audit {action}")
    user_login_failed.connect(record_failure, dispatch_uid="audit failure")
    mfa.authentication_failed.connect(record_wrong_code, dispatch_uid="audit code")
    account.email_confirmed.connect(record_confirmation, dispatch_uid="audit confirmation")
    user_logged_in.connect(forget_past, dispatch_uid="suspension past")
