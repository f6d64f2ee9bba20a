"""Users in Django's admin: a real UserAdmin, so that no password hash is ever a text box."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db import models
from django.forms import FileField
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.avatars import make_avatar
from accounts.models import User


class AccountCreationForm(AdminUserCreationForm):
    """The form of a new account."""

    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("username",)


class AccountChangeForm(UserChangeForm):
    """The form of an existing account."""

    class Meta(UserChangeForm.Meta):
        model = User


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Search, filters, and the fields in groups."""

    form = AccountChangeForm
    formfield_overrides = {models.ImageField: {"form_class": FileField}}
    add_form = AccountCreationForm
    list_display = ("username", "display_name", "email", "language", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser", "language", "groups")
    search_fields = ("username", "display_name", "email")
    date_hierarchy = "date_joined"
    ordering = ("-date_joined",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("display_name", "email", "bio", "avatar", "language")}),
        (_("Rights"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
    readonly_fields = ("last_login", "date_joined")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save. An address that an administrator typed counts as verified: a site may have no mail server.

        A picture is made small, as on the profile.
        """
        if "avatar" in form.changed_data and (picture := form.cleaned_data["avatar"]):
            avatar = make_avatar(picture)
            obj.avatar.save(str(avatar.name), avatar, save=False)
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()
            if obj.email:
                EmailAddress.objects.create(user=obj, email=obj.email.lower(), verified=True, primary=True)
