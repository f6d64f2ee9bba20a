"""The outbox in Django's admin: what waits, what failed and why."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.mail import can_send
from config.models import OutgoingMail

STATES = {"waiting": _("waiting"), "failed": _("failed"), "sent": _("sent")}


class StateFilter(admin.SimpleListFilter):
    """By what became of it."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The states."""
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The mail in the state that was chosen."""
        state = self.value()
        return getattr(queryset, state)() if state in STATES and state is not None else queryset


@admin.register(OutgoingMail)
class OutgoingMailAdmin(admin.ModelAdmin):
    """Read, never written: the texts are not shown, since a link in them can open somebody's account."""

    list_display = ("subject", "to", "state", "attempts", "created_at", "next_attempt_at", "sent_at")
    list_filter = (StateFilter,)
    search_fields = ("subject", "recipients")
    date_hierarchy = "created_at"
    actions = ("try_again",)
    fields = (
        "subject",
        "sender",
        "to",
        "state",
        "attempts",
        "last_error",
        "created_at",
        "next_attempt_at",
        "sent_at",
    )
    readonly_fields = fields

    @admin.display(description=_("recipients"))
    def to(self, mail: OutgoingMail) -> str:
        """Who gets it."""
        return ", ".join(mail.recipients)

    @admin.display(description=_("state"))
    def state(self, mail: OutgoingMail) -> str:
        """What became of it."""
        return str(STATES[mail.state])

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Mail is written by the site."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: OutgoingMail | None = None) -> bool:
        """Nothing in it can be changed; the list's actions need the right."""
        return obj is None and super().has_change_permission(request)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, and a word where no mail can leave."""
        if not can_send():
            messages.warning(request, _("No mail server is set up (EMAIL_HOST): mail waits here."))
        return super().changelist_view(request, extra_context)

    @admin.action(description=_("Try to send the selected mail again"), permissions=["change"])
    def try_again(self, request: HttpRequest, mail: QuerySet[OutgoingMail]) -> None:
        """From the start, with all attempts; not what was sent."""
        mail.filter(sent_at__isnull=True).update(next_attempt_at=timezone.now(), attempts=0)
