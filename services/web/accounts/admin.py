"""Users in Django's admin: a real UserAdmin, so that no password hash is ever a text box.

Who may only see users (moderators) sees neither e-mail addresses nor passwords, and cannot search by them. Rights, and
the accounts of staff, are for superusers.
"""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import FileField
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import suspending
from accounts.avatars import store_avatar
from accounts.models import SUSPENSION, TakenName, User
from blog.models import Article, Comment
from moderation import audit
from moderation.forms import SuspensionForm
from moderation.site import Kept

MOST_AT_ONCE = 100


class AccountCreationForm(AdminUserCreationForm):
    """The form of a new account."""

    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username",)


class AccountChangeForm(UserChangeForm):
    """The form of an existing account."""

    class Meta(UserChangeForm.Meta):
        model = User

    def clean_is_superuser(self) -> bool:
        """Raise ValidationError where nobody would be left to run the site."""
        stays: bool = self.cleaned_data["is_superuser"]
        others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=self.instance.pk)
        if self.instance.is_superuser and not stays and not others.exists():
            raise ValidationError(_("This is the only superuser: make somebody else one first."))
        return stays


class SuspendedFilter(admin.SimpleListFilter):
    """By whether the account can be used."""

    title = gettext_lazy("suspended")
    parameter_name = "suspended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Yes or no."""
        return [("yes", gettext_lazy("suspended now")), ("no", gettext_lazy("not suspended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that were chosen."""
        if self.value() == "yes":
            return queryset.filter(pk__in=User.objects.suspended().values("pk"))
        return queryset.filter(pk__in=User.objects.reachable().values("pk")) if self.value() == "no" else queryset


class VerifiedFilter(admin.SimpleListFilter):
    """By whether the address was proved."""

    title = gettext_lazy("e-mail address")
    parameter_name = "verified"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Yes or no."""
        return [("yes", gettext_lazy("verified")), ("no", gettext_lazy("not verified"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that were chosen."""
        proved = Exists(EmailAddress.objects.filter(user=OuterRef("pk"), verified=True))
        if self.value() == "yes":
            return queryset.filter(proved)
        return queryset.filter(~proved) if self.value() == "no" else queryset


def number_of(model: Any) -> Coalesce:
    """How many rows of `model` the user is the author of."""
    of_author = model.objects.filter(author=OuterRef("pk")).order_by().values("author")
    return Coalesce(Subquery(of_author.annotate(total=Count("*")).values("total"), output_field=IntegerField()), 0)


RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Search, filters, and the fields in groups."""

    form = AccountChangeForm
    formfield_overrides = {models.ImageField: {"form_class": FileField}}
    add_form = AccountCreationForm
    list_display = (
        "username",
        "display_name",
        "email",
        "can_log_in",
        "articles",
        "comments",
        "is_staff",
        "date_joined",
    )
    list_filter = ("is_staff", SuspendedFilter, VerifiedFilter, "date_joined", "is_superuser", "groups", "language")
    search_fields = ("username", "display_name", "email")
    ordering = ("-date_joined",)
    actions = ("suspend", "lift", "end_sessions", "send_reset")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Person"), {"fields": ("display_name", "email", "bio", "avatar", "language")}),
        (gettext_lazy("Suspension"), {"fields": SUSPENSION}),
        (gettext_lazy("Rights"), {"fields": RIGHTS}),
        (gettext_lazy("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
    readonly_fields = ("last_login", "date_joined", *SUSPENSION)

    # --- Who may see and do what

    def sees_all(self, request: HttpRequest) -> bool:
        """Whether the addresses are shown to who asks."""
        return request.user.has_perm("accounts.change_user")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Without addresses for those who may only look."""
        return self.list_display if self.sees_all(request) else [n for n in self.list_display if n != "email"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Likewise."""
        return self.list_filter if self.sees_all(request) else ("is_staff", SuspendedFilter, "date_joined")

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Likewise."""
        return self.search_fields if self.sees_all(request) else ("username", "display_name")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Likewise."""
        if obj is None or self.sees_all(request):
            return super().get_fieldsets(request, obj)
        return (
            (None, {"fields": ("username", "display_name", "bio", "avatar")}),
            (gettext_lazy("Suspension"), {"fields": SUSPENSION}),
            (gettext_lazy("Dates"), {"fields": ("date_joined",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Rights are a superuser's to give."""
        own = getattr(request.user, "is_superuser", False)
        return self.readonly_fields if own else (*self.readonly_fields, *RIGHTS)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only filters that are shown: with any field in the query, hidden ones could be guessed letter by letter."""
        if request is None or not self.sees_all(request):
            return lookup.split("__", maxsplit=1)[0] in ("is_staff", "suspended", "date_joined")
        return super().lookup_allowed(lookup, value, request)

    def is_above(self, request: HttpRequest, obj: User | None) -> bool:
        """Whether this account is staff's and who asks is no superuser."""
        return (
            obj is not None and (obj.is_staff or obj.is_superuser) and not getattr(request.user, "is_superuser", False)
        )

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Staff is changed by superusers."""
        return super().has_change_permission(request, obj) and not self.is_above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Staff is deleted by superusers, and nobody deletes the own account here."""
        return super().has_delete_permission(request, obj) and not self.is_above(request, obj) and obj != request.user

    def has_suspend_permission(self, request: HttpRequest) -> bool:
        """Who may suspend; whom is asked of each."""
        return request.user.has_perm(suspending.PERMISSION)

    # --- The list

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With what each has written, in the list."""
        users: QuerySet[User] = super().get_queryset(request)
        match = request.resolver_match
        if match and match.url_name == "accounts_user_changelist":
            return users.defer("password", "bio").annotate(
                article_total=number_of(Article), comment_total=number_of(Comment)
            )
        return users

    def get_actions(self, request: HttpRequest) -> Any:
        """Accounts are deleted one by one: their authors' articles protect them."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.display(description=gettext_lazy("can log in"), boolean=True, ordering="is_active")
    def can_log_in(self, user: User) -> bool:
        """Whether the account can be used now."""
        return user.is_active

    @admin.display(description=gettext_lazy("articles"), ordering="article_total")
    def articles(self, user: Any) -> int:
        """How many there are, in every status."""
        return int(user.article_total)

    @admin.display(description=gettext_lazy("comments"), ordering="comment_total")
    def comments(self, user: Any) -> int:
        """How many there are, in every status."""
        return int(user.comment_total)

    # --- Saving

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save. An address that an administrator typed counts as verified: a site may have no mail server.

        A picture is made small, as on the profile.
        """
        if "avatar" in form.changed_data and (picture := form.cleaned_data["avatar"]):
            try:
                store_avatar(obj, picture)
            except ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)
                obj.avatar = form.initial.get("avatar") or ""
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()
            if obj.email:
                EmailAddress.objects.create(user=obj, email=obj.email.lower(), verified=True, primary=True)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save what hangs on it; a change of rights is an entry of its own in the audit log."""
        before = rights_of(form.instance)
        super().save_related(request, form, formsets, change)
        after = rights_of(form.instance)
        # The flags are saved by now: the form knows what they were.
        before |= {name: bool(form.initial.get(name)) for name in ("is_staff", "is_superuser")}
        if before != after:
            detail = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
            audit.record("user.role", form.instance, request=request, detail=detail)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page. A new password that somebody else typed is an entry of its own."""
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            audit.record("password.changed", self.get_object(request, id), request=request)
        return response

    # --- Actions

    def get_urls(self) -> list[URLPattern]:
        """With the page that asks for how long and why."""
        page = self.admin_site.admin_view(self.suspension)
        return [path("suspend/", page, name="accounts_user_suspend"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, with a link to the suspension where who looks may suspend."""
        user = self.get_object(request, object_id)
        by = request.user
        allowed = isinstance(by, User) and user is not None and suspending.may_suspend(by, user)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "may_suspend": allowed})

    @admin.action(description=gettext_lazy("Suspend the selected users…"), permissions=["suspend"])
    def suspend(self, request: HttpRequest, users: QuerySet[User]) -> HttpResponse:
        """On to the page that asks for how long."""
        ids = ",".join(str(pk) for pk in users.order_by("pk").values_list("pk", flat=True)[:MOST_AT_ONCE])
        return redirect(f"{reverse('admin:accounts_user_suspend')}?ids={ids}")

    def suspension(self, request: HttpRequest) -> HttpResponseBase:
        """Asks for how long and why, then suspends those of `?ids=` whom the one who asks may suspend."""
        by = request.user
        if not self.has_suspend_permission(request) or not isinstance(by, User):
            raise PermissionDenied
        ids = [
            int(pk) for pk in request.GET.get("ids", "").split(",") if pk.isascii() and pk.isdigit() and len(pk) < 19
        ]
        users = list(User.objects.filter(pk__in=ids[:MOST_AT_ONCE]).order_by("username"))
        allowed = [user for user in users if suspending.may_suspend(by, user)]
        form = SuspensionForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and allowed and form.is_valid():
            done = 0
            for user in allowed:
                try:
                    suspending.suspend(user, by, form.until(), form.cleaned_data["reason"])
                    done += 1
                except suspending.SuspensionError:
                    messages.warning(request, _("%(name)s cannot be suspended by you.") % {"name": user})
            told = ngettext("%(n)d user is suspended.", "%(n)d users are suspended.", done) % {"n": done}
            messages.success(request, told)
            return redirect("admin:accounts_user_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Suspend users"),
            "opts": self.opts,
            "form": form,
            "allowed": allowed,
            "refused": [user for user in users if user not in allowed],
        }
        return render(request, "admin/accounts/user/suspend.html", context, status=422 if form.errors else 200)

    @admin.action(description=gettext_lazy("Lift the suspension of the selected users"), permissions=["suspend"])
    def lift(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Let them log in again."""
        by = request.user
        assert isinstance(by, User)  # noqa: S101  (admin_view has seen to it)
        done = sum(suspending.lift(user, by) for user in users if suspending.may_suspend(by, user))
        told = ngettext("%(n)d suspension is lifted.", "%(n)d suspensions are lifted.", done) % {"n": done}
        messages.success(request, told)

    @admin.action(description=gettext_lazy("End all sessions of the selected users"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """Log them out everywhere."""
        done = 0
        for user in users:
            if self.has_change_permission(request, user):
                done += suspending.end_sessions(user)
                audit.record("user.sessions_ended", user, request=request)
        told = ngettext("%(n)d session has ended.", "%(n)d sessions have ended.", done) % {"n": done}
        messages.success(request, told)

    @admin.action(description=gettext_lazy("Send a password reset to the selected users"), permissions=["change"])
    def send_reset(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """The mail that they could ask for themselves; not to suspended users and those without an address."""
        done = 0
        for user in users:
            if self.has_change_permission(request, user) and user.is_active and user.email:
                form = ResetPasswordForm({"email": user.email})
                if form.is_valid():
                    form.save(request)
                    audit.record("user.reset_sent", user, request=request)
                    done += 1
        messages.success(
            request, ngettext("%(n)d mail is on its way.", "%(n)d mails are on their way.", done) % {"n": done}
        )


def rights_of(user: User) -> dict[str, Any]:
    """What the log says of somebody's rights."""
    return {
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
        "groups": sorted(user.groups.values_list("name", flat=True)),
        "permissions": sorted(user.user_permissions.values_list("codename", flat=True)),
    }


@admin.register(TakenName)
class TakenNameAdmin(Kept, admin.ModelAdmin):
    """Whose a name is or was. A name is never free again."""

    list_display = ("name", "user", "since")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = readonly_fields = ("name", "user", "since")


class SessionAdmin(Kept, admin.ModelAdmin):
    """Who is logged in where. The key, with which anybody could be that person, is not shown."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    list_filter = ("last_seen_at",)
    search_fields = ("user__username", "=ip")
    ordering = ("-last_seen_at",)
    actions = ("end",)
    fields = readonly_fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Who may delete a session may end it."""
        return request.user.has_perm("usersessions.delete_usersession")

    @admin.action(description=gettext_lazy("End the selected sessions"), permissions=["end"])
    def end(self, request: HttpRequest, sessions: QuerySet[UserSession]) -> None:
        """Log them out."""
        for session in sessions:
            audit.record("user.sessions_ended", session.user, request=request, detail={"sessions": 1})
            session.end()


class AuthenticatorAdmin(Kept, admin.ModelAdmin):
    """Second factors. Their secrets are not shown; deleting one lets its owner in without it."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)
    search_fields = ("user__username",)
    ordering = ("-created_at",)
    fields = readonly_fields = ("user", "type", "created_at", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For who has lost it: by a superuser."""
        return bool(getattr(request.user, "is_superuser", False))


class AddressAdmin(Kept, admin.ModelAdmin):
    """E-mail addresses. They are changed with the user."""

    list_display = ("email", "user", "primary", "verified")
    list_select_related = ("user",)
    list_filter = ("verified", "primary")
    search_fields = ("email", "user__username")
    ordering = ("-pk",)
    fields = readonly_fields = ("email", "user", "primary", "verified")


for model, own in ((UserSession, SessionAdmin), (Authenticator, AuthenticatorAdmin), (EmailAddress, AddressAdmin)):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
    admin.site.register(model, own)
