"""The forms of one's own account."""

from __future__ import annotations

from struct import error as StructError  # noqa: N812
from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature
from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.avatars import store_avatar
from accounts.models import User
from config import limits
from uploads import decoding


class LoginForm(AllauthLoginForm):
    """allauth's, with a label that says what to type."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = _("Username or e-mail")
        self.fields["login"].widget.attrs["autocomplete"] = "username"


class LimitedCode:
    """Counts the codes tried for an account, from whatever address: six digits are soon guessed."""

    user: User

    def clean_code(self) -> str:
        """The code, if it is right. Raises LimitReachedError, and ValidationError for a wrong one."""
        rate = limits.RATES["code"].account
        if rate is not None:
            limits.take("code/account", f"#{self.user.pk}", rate)
        code: str = super().clean_code()  # type: ignore[misc]
        return code


class LimitedAuthenticateForm(LimitedCode, AuthenticateForm):
    """The code at log-in."""


class LimitedReauthenticateForm(LimitedCode, ReauthenticateForm):
    """The code before something that matters."""


class UsernameForm(forms.ModelForm):
    """Another name. The model's own checks say whether it may be and is free."""

    class Meta:
        model = User
        fields = ("username",)


class DeletionForm(forms.Form):
    """The password, before everything goes."""

    password = forms.CharField(
        label=_("Password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    sure = forms.BooleanField(label=_("Delete my account, my articles and my pictures for good."))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """The account's password. Raises ValidationError for another."""
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError(_("This is not your password."), "password")
        return password


class ProfileForm(forms.ModelForm):
    """What others see of somebody."""

    class Meta:
        model = User
        fields = ("display_name", "bio", "avatar", "language")
        # Django's own ImageField tries every format that Pillow knows.
        field_classes = {"avatar": forms.FileField}
        widgets = {
            "bio": forms.Textarea(attrs={"rows": 4}),
            "avatar": forms.ClearableFileInput(attrs={"accept": decoding.ACCEPT}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["display_name"].help_text = _("Shown instead of the username.")
        self.fields["avatar"].help_text = _("JPEG, PNG, WebP, GIF or AVIF, at most 2 MB.")
        self.fields["language"].help_text = _("Of mail to you.")
        self.before = self.instance.avatar.name

    def save(self, commit: bool = True) -> User:
        """Save; a new picture is made small, the old one's file goes. Raises ValidationError without room for it."""
        user: User = super().save(commit=False)
        if "avatar" in self.changed_data and (picture := self.cleaned_data["avatar"]):
            store_avatar(user, picture)
        if commit:
            user.save()
            if self.before and self.before != user.avatar.name:
                user.avatar.storage.delete(self.before)
        return user


# What parsing and checking a credential raises when a browser did not make it.
ODD = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, InvalidSignature, StructError)


class SoundCredential:
    """A credential that no browser made is a message, not a server error."""

    def clean_credential(self) -> Any:
        """The authenticator. Raises ValidationError for anything that is none."""
        try:
            return super().clean_credential()  # type: ignore[misc]
        except ODD as error:
            raise get_adapter().validation_error("incorrect_code") from error


class LoginPasskeyForm(SoundCredential, LoginWebAuthnForm):
    """A passkey instead of a password."""


class AuthenticatePasskeyForm(SoundCredential, AuthenticateWebAuthnForm):
    """A security key after the password."""


class ReauthenticatePasskeyForm(SoundCredential, ReauthenticateWebAuthnForm):
    """A security key before something that matters."""


class AddPasskeyForm(AddWebAuthnForm):
    """A new passkey or security key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name")

    def clean(self) -> dict[str, Any]:
        """The fields. Raises ValidationError for a credential that is none."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except ODD as error:
            raise get_adapter().validation_error("incorrect_code") from error
        return cleaned


class EditPasskeyForm(EditWebAuthnForm):
    """Another name for a passkey."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name")
