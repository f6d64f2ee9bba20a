"""The site's AdminSite: an index that says what waits, and a ModelAdmin that tells the audit log."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.admin import AdminSite, ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from moderation import audit


class Audited(ModelAdmin):
    """Base of every ModelAdmin here (OwnersSite.register): what it logs goes into the audit log too."""

    # The total beside the number found would count the whole table at every search.
    show_full_result_count = False

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Something was added."""
        audit.record("admin.added", obj, request=request)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Something was changed; the message names the fields, not their values."""
        audit.record("admin.changed", obj, request=request, detail={"changes": changes_in(message)})
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """One or several are about to be deleted."""
        for obj in queryset:
            audit.record("admin.deleted", obj, request=request)
        return super().log_deletions(request, queryset)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **options: Any) -> Any:
        """An action of the list. Deleting has its own entries, and asks before it does anything."""
        chosen = int(request.POST.get("index", "0")) if request.POST.get("index", "0").isdigit() else 0
        names = request.POST.getlist("action")
        name = names[chosen] if chosen < len(names) else ""
        response = super().response_action(request, queryset, *args, **options)
        if response is not None and name in self.get_actions(request) and name != "delete_selected":
            ids = request.POST.getlist("_selected_action")[:100]
            every = request.POST.get("select_across") == "1"
            audit.record(
                "admin.action",
                request=request,
                detail={"action": name, "of": self.opts.label_lower, "ids": "all found" if every else ids},
            )
        return response


class Kept:
    """Base of a ModelAdmin for rows that the site itself writes: they are read, never added or changed by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def changes_in(message: Any) -> Any:
    """What Django says that was changed: the names of fields and of related objects' kinds."""
    if not isinstance(message, list):
        return str(message)
    return [{verb: what.get("fields", what.get("name", ""))} for entry in message for verb, what in entry.items()]


# Where the index shows the models of others, and what it calls those that have no translated name.
HOMES = {
    "account": "accounts",
    "auth": "accounts",
    "mfa": "accounts",
    "usersessions": "accounts",
    "django_tasks_database": "config",
}
NAMES = {
    "Authenticator": gettext_lazy("Second factors"),
    "DBTaskResult": gettext_lazy("Background tasks"),
    "EmailAddress": gettext_lazy("E-mail addresses"),
    "UserSession": gettext_lazy("Sessions"),
}
ORDER = ("moderation", "blog", "uploads", "accounts", "notices", "config")


class OwnersSite(AdminSite):
    """Django's, for who runs this site."""

    index_title = gettext_lazy("What waits")
    index_template = "moderation/index.html"
    # A person's name at the top is a page of this site; Django's own link is the front page.
    site_url = "/"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """As Django's, with Audited put before the class."""
        base = admin_class or ModelAdmin
        bases = (Audited,) if base is ModelAdmin else (base, Audited)
        super().register(model_or_iterable, type(base.__name__, bases, {"__module__": base.__module__}), **options)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Django's, in this site's order, with what belongs to accounts together."""
        apps = {app["app_label"]: app for app in super().get_app_list(request, app_label)}
        for label, app in list(apps.items()):
            for entry in app["models"]:
                entry["name"] = NAMES.get(entry["object_name"], entry["name"])
            if app_label is None and HOMES.get(label) in apps:
                apps[HOMES[label]]["models"] += apps.pop(label)["models"]
        return sorted(apps.values(), key=lambda app: ORDER.index(app["app_label"]) if app["app_label"] in ORDER else 9)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The site's own page, which asks for the password again where it should, mails, and is recorded."""
        return redirect("account_change_password")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The start page."""
        context = {
            "waiting": waiting(request),
            "without_second_factor": not Authenticator.objects.filter(user_id=request.user.pk)
            .exclude(type=Authenticator.Type.RECOVERY_CODES)
            .exists(),
            **(extra_context or {}),
        }
        response: TemplateResponse = super().index(request, context)
        return response


def waiting(request: HttpRequest) -> list[tuple[str, int, str]]:
    """What waits for somebody with the rights of this request: what it is, how many, where."""
    from accounts.models import User
    from blog.models import Comment
    from config.models import OutgoingMail
    from moderation.models import Report

    user: Any = request.user
    found = []
    if user.has_perm("moderation.view_report"):
        objects = Report.objects.open().order_by().values("kind", "target_id").distinct().count()
        found.append((_("Reported, not decided"), objects, reverse("admin:moderation_report_changelist")))
    if user.has_perm("blog.view_comment"):
        comments = Comment.objects.filter(status=Comment.Status.PENDING).count()
        page = reverse("admin:blog_comment_changelist")
        found.append((_("Comments waiting"), comments, f"{page}?status__exact=pending"))
    if user.has_perm("config.view_outgoingmail"):
        mail = OutgoingMail.objects.failed().count()
        found.append((_("Mail given up"), mail, reverse("admin:config_outgoingmail_changelist") + "?state=failed"))
    if user.has_perm("accounts.view_user"):
        users = User.objects.suspended().count()
        found.append((_("Suspended users"), users, reverse("admin:accounts_user_changelist") + "?suspended=yes"))
    return found
