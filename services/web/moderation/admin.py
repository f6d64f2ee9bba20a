"""The queue of reports and the audit log in the admin."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Max, Min, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, re_path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import suspending
from accounts.models import User
from moderation import audit, reporting
from moderation.forms import DecisionForm, end_of
from moderation.models import AuditEntry, Report
from moderation.site import Kept

PER_PAGE = 20
GROUP = ("kind", "target_id")


@admin.register(Report)
class ReportAdmin(Kept, admin.ModelAdmin):
    """The queue, one line an object, and a page an object on which it is decided."""

    def has_change_permission(self, request: HttpRequest, obj: Report | None = None) -> bool:
        """Who may decide."""
        return request.user.has_perm("moderation.change_report")

    def get_urls(self) -> list[URLPattern]:
        """The two pages, instead of Django's."""
        return [
            re_path(r"^$", self.admin_site.admin_view(self.queue), name="moderation_report_changelist"),
            re_path(
                r"^(?P<kind>comment|article|user)/(?P<pk>[0-9]{1,18})/$",
                self.admin_site.admin_view(self.case),
                name="moderation_report_case",
            ),
        ]

    def queue(self, request: HttpRequest) -> HttpResponse:
        """What waits, most reported first; `?state=handled`: what was decided, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        handled = request.GET.get("state") == "handled"
        if handled:
            decided = Report.objects.filter(handled_at__isnull=False).order_by("-handled_at", *GROUP)
            groups: Any = decided.values(*GROUP, "handled_at", "handled_by__username", "outcome", "note").annotate(
                total=Count("pk")
            )
        else:
            open_ones = Report.objects.open().order_by().values(*GROUP)
            groups = open_ones.annotate(total=Count("pk"), first=Min("created_at"), last=Max("created_at")).order_by(
                "-total", "first", *GROUP
            )
        page = Paginator(groups, PER_PAGE).get_page(request.GET.get("page"))
        rows = list(page)
        targets = {
            kind: reporting.load(kind, {row["target_id"] for row in rows if row["kind"] == kind})
            for kind in {row["kind"] for row in rows}
        }
        outcomes = dict(Report.Outcome.choices)
        for row in rows:
            target = targets[row["kind"]].get(row["target_id"])
            row["title"], row["author"] = reporting.title_of(target), reporting.responsible(target)
            row["kind_name"], row["gone"] = Report.Kind(row["kind"]).label, target is None
            row["outcome_name"] = outcomes.get(row.get("outcome", ""), "")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Reports"),
            "opts": self.opts,
            "handled": handled,
            "page": page,
            "rows": rows,
        }
        return render(request, "admin/moderation/report/queue.html", context)

    def case(self, request: HttpRequest, kind: str, pk: str) -> HttpResponseBase:
        """An object, its reports, and the decision."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        user = request.user
        assert isinstance(user, User)  # noqa: S101  (admin_view has seen to it)
        about = Report.objects.about(kind, int(pk))
        reports = list(about.select_related("reporter", "handled_by").order_by("handled_at", "pk")[:200])
        if not reports:
            raise Http404("nobody has reported it")
        waiting = [found for found in reports if found.handled_at is None]
        target = reporting.load(kind, [int(pk)]).get(int(pk))
        form = self.decision_form(request, kind, target) if waiting and self.has_change_permission(request) else None
        if request.method == "POST":
            if not self.has_change_permission(request):
                raise PermissionDenied
            if form is None:
                messages.warning(request, _("Somebody else has decided this already: nothing was done again."))
                return redirect("admin:moderation_report_case", kind, pk)
            if form.is_valid() and self.decided(request, kind, int(pk), form):
                return redirect("admin:moderation_report_changelist")
        author = reporting.responsible(target)
        context = {
            **self.admin_site.each_context(request),
            "title": reporting.title_of(target),
            "opts": self.opts,
            "kind": Report.Kind(kind).label,
            "target": target,
            "address": self.address(target),
            "author": author,
            "text": getattr(target, "body", getattr(target, "bio", "")) if kind != Report.Kind.ARTICLE else "",
            "excerpt": getattr(target, "excerpt", ""),
            "reports": reports,
            "form": form,
        }
        status = 422 if form is not None and form.errors else 200
        return render(request, "admin/moderation/report/case.html", context, status=status)

    def decision_form(self, request: HttpRequest, kind: str, target: Any) -> DecisionForm:
        """The form with the decisions that this moderator can take about this object."""
        user = request.user
        assert isinstance(user, User)  # noqa: S101
        author = reporting.responsible(target)
        outcome = Report.Outcome
        right = {Report.Kind.COMMENT: "moderation.hide_comment", Report.Kind.ARTICLE: "moderation.unpublish_article"}
        names = {Report.Kind.COMMENT: _("Hide the comment"), Report.Kind.ARTICLE: _("Make the article a draft again")}
        choices: list[tuple[str, Any]] = [(outcome.DISMISSED.value, _("Dismiss: nothing is wrong with it"))]
        may_remove = target is not None and Report.Kind(kind) in right and user.has_perm(right[Report.Kind(kind)])
        may_suspend = author is not None and suspending.may_suspend(user, author)
        if may_remove:
            choices.append((outcome.REMOVED.value, names[Report.Kind(kind)]))
        if may_suspend:
            choices.append((outcome.SUSPENDED.value, _("Suspend the user")))
        if may_remove and may_suspend:
            choices.append((outcome.BOTH.value, _("Both")))
        form = DecisionForm(request.POST if request.method == "POST" else None, choices=choices)
        form.fields["note"].widget = AdminTextareaWidget(attrs={"rows": 3})
        return form

    def decided(self, request: HttpRequest, kind: str, pk: int, form: DecisionForm) -> bool:
        """Do what was decided and say so; False where the form is to be shown again."""
        user = request.user
        assert isinstance(user, User)  # noqa: S101
        fields = form.cleaned_data
        until: datetime | None = end_of(fields["days"] or "7")
        try:
            total = reporting.resolve(kind, pk, user, Report.Outcome(fields["outcome"]), fields["note"], until)
        except reporting.ReportingError as error:
            if error.code != "handled":
                form.add_error(None, _("This cannot be done any more."))
                return False
            messages.warning(request, _("Somebody else has decided this already: nothing was done again."))
        else:
            messages.success(request, _("Decided; reports: %(total)d.") % {"total": total})
        return True

    def address(self, target: Any) -> str:
        """Where the object stands on the site."""
        return target.get_absolute_url() if target is not None else ""


class ActionFilter(admin.SimpleListFilter):
    """By what was done."""

    title = gettext_lazy("action")
    parameter_name = "did"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """All that is recorded."""
        return list(audit.ACTIONS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The entries of the action that was chosen."""
        return queryset.filter(action=self.value()) if self.value() in audit.ACTIONS else queryset


class ObjectFilter(admin.SimpleListFilter):
    """By the kind of object."""

    title = gettext_lazy("object type")
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The kinds of objects that the admin has, with no look at the log."""
        models = model_admin.admin_site._registry
        return sorted(((model._meta.label_lower, model._meta.verbose_name) for model in models), key=str)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The entries about the kind that was chosen."""
        return queryset.filter(object_type=self.value().replace("\0", "")) if self.value() else queryset  # type: ignore[union-attr]


@admin.register(AuditEntry)
class AuditEntryAdmin(Kept, admin.ModelAdmin):
    """Read and searched, and nothing else."""

    list_display = ("at", "actor", "did", "object_type", "object_text", "address")
    list_filter = ("at", ActionFilter, ObjectFilter)
    # Each has an index: the whole name of an actor in any case, an object's id, a request's id.
    search_fields = ("=actor", "object_id__exact", "request_id__exact")
    search_help_text = gettext_lazy("The whole name of an actor, the id of an object, or a request id.")
    list_per_page = 50
    fields = (
        "at",
        "actor",
        "actor_id",
        "did",
        "object_type",
        "object_id",
        "object_text",
        "told",
        "address",
        "request_id",
    )
    readonly_fields = fields

    @admin.display(description=gettext_lazy("action"))
    def did(self, entry: AuditEntry) -> str:
        """What was done, in the reader's language."""
        return str(audit.ACTIONS.get(entry.action, entry.action))

    @admin.display(description=gettext_lazy("details"))
    def told(self, entry: AuditEntry) -> str:
        """The details, readable."""
        return json.dumps(entry.detail, ensure_ascii=False) if entry.detail else "–"
