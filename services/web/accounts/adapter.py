"""Where the site differs from what allauth does by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language

from accounts.avatars import make_avatar
from accounts.models import User, validate_free


class AddressStage(EmailVerificationStage):
    """Asks for a verified address of everybody but those whom an administrator gave an account without one."""

    def handle(self) -> tuple[HttpResponse | None, bool]:
        """The answer that interrupts the log-in, if one does, and whether it can go on."""
        user = self.login.user
        if user is not None and not user.email:
            return None, True
        response, go_on = super().handle()
        return response, go_on


class AccountAdapter(DefaultAccountAdapter):
    """The site's name in mails, and its own fields in a new account."""

    def get_login_stages(self) -> list[str]:
        """allauth's, with AddressStage in place of its own."""
        own = f"{EmailVerificationStage.__module__}.{EmailVerificationStage.__qualname__}"
        address = f"{AddressStage.__module__}.{AddressStage.__qualname__}"
        return [address if stage == own else stage for stage in super().get_login_stages()]

    def clean_username(self, username: str, shallow: bool = False) -> str:
        """A username that may be, and that nobody has, had, or is confused with."""
        name: str = super().clean_username(username, shallow)
        if not shallow:
            validate_free(name)
        return name

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """A new account, with the language it was made in and its avatar."""
        super().save_user(request, user, form, commit=False)
        user.language = get_language() or settings.LANGUAGE_CODE
        if picture := form.cleaned_data.get("avatar"):
            avatar = make_avatar(picture)
            user.avatar.save(str(avatar.name), avatar, save=False)
        if commit:
            user.save()
        return user

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """As allauth's, in one transaction; False if the account was removed meanwhile (accounts.unverified)."""
        with transaction.atomic():
            # All of the user's, in one order: allauth changes the one that was primary, too.
            held = EmailAddress.objects.select_for_update().filter(user=email_address.user_id).order_by("pk")
            if not held and not User.objects.filter(pk=email_address.user_id).exists():
                failed, about = "account/messages/email_confirmation_failed.txt", {"email": email_address.email}
                self.add_message(request, messages.ERROR, failed, about)
                return False
            confirmed: bool = super().confirm_email(request, email_address)
            return confirmed

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """What somebody suspended is told, after the right password or passkey and only then."""
        return render(request, "account/account_inactive.html", {"suspended": user}, status=403)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """A mail that calls the site by its name, not by its host."""
        site = SimpleNamespace(name=settings.SITE_NAME, domain=settings.SITE_HOST)
        super().send_mail(template_prefix, email, {**context, "current_site": site})
