"""The audit log: `record` writes that somebody did something. The database keeps it as it is (migration 0001).

Nothing secret goes into it: no password, token, code, session or e-mail address. Of an address the network is kept.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from allauth.core import context
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from config.limits import client_key
from config.request_id import request_id
from moderation.models import AuditEntry

# What is recorded, as the log calls it. A service that records something new adds it here.
ACTIONS = {
    "login": _("logged in"),
    "login.failed": _("log-in failed"),
    "logout": _("logged out"),
    "password.changed": _("password changed"),
    "password.reset": _("password reset"),
    "email.added": _("e-mail address added"),
    "email.changed": _("e-mail address changed"),
    "email.removed": _("e-mail address removed"),
    "email.confirmed": _("e-mail address confirmed"),
    "factor.added": _("second factor added"),
    "factor.removed": _("second factor removed"),
    "factor.reset": _("second factor renewed"),
    "user.signed_up": _("signed up"),
    "user.renamed": _("renamed"),
    "user.deleted": _("account deleted"),
    "user.role": _("role changed"),
    "user.suspended": _("suspended"),
    "user.lifted": _("suspension lifted"),
    "user.lapsed": _("suspension ended by its date"),
    "user.sessions_ended": _("sessions ended"),
    "user.reset_sent": _("password reset sent"),
    "user.blocked": _("commenter blocked"),
    "user.unblocked": _("commenter unblocked"),
    "comment.approved": _("comment approved"),
    "comment.hidden": _("comment hidden"),
    "comment.shown": _("comment shown"),
    "comment.deleted": _("comment deleted"),
    "article.unpublished": _("article unpublished"),
    "report.dismissed": _("reports dismissed"),
    "report.removed": _("reports handled: taken away"),
    "report.suspended": _("reports handled: user suspended"),
    "report.both": _("reports handled: taken away and user suspended"),
    "admin.added": _("added in the admin"),
    "admin.changed": _("changed in the admin"),
    "admin.deleted": _("deleted in the admin"),
    "admin.action": _("action in the admin"),
}
# Their names are what is not to be in the log: e-mail and network addresses.
OF_A_USER = {"account.emailaddress", "usersessions.usersession", "mfa.authenticator"}
LONGEST_DETAIL = 500


def network_of(request: HttpRequest | None) -> str:
    """The network a request came from: the /24 of an IPv4 address, the /48 of an IPv6 one; "" for none."""
    if request is None:
        return ""
    try:
        address = ipaddress.ip_address(client_key(request))
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False).network_address)


def tidy(value: Any) -> Any:
    """`value` as PostgreSQL can store it in a jsonb, with long texts cut."""
    if isinstance(value, dict):
        return {str(key): tidy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [tidy(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST_DETAIL]


def record(
    action: str,
    target: Model | None = None,
    *,
    actor: Any = None,
    detail: dict[str, Any] | None = None,
    request: HttpRequest | None = None,
) -> AuditEntry:
    """Write that `actor` did `action` (one of ACTIONS) to `target`; part of the transaction that does it.

    The request is the current one unless given, the actor whoever is logged in in it. Raises ValueError for another
    action.
    """
    if action not in ACTIONS:
        raise ValueError(f"{action} is not one of moderation.audit.ACTIONS")
    request = request or context.request
    if actor is None:
        user = getattr(request, "user", None)
        actor = user if user is not None and user.is_authenticated else None
    label = target._meta.label_lower if target is not None else ""
    shown = getattr(target, "user", "") if label in OF_A_USER else target
    return AuditEntry.objects.create(
        actor_id=getattr(actor, "pk", None),
        actor=actor.get_username() if actor is not None else "",
        action=action,
        object_type=label,
        object_id=str(target.pk)[:64] if target is not None else "",
        object_text=tidy(str(shown if shown is not None else ""))[:200],
        detail=tidy(detail or {}),
        address=network_of(request),
        request_id=request_id.get(),
    )
