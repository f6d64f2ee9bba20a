"""The pages of one's own account that allauth does not have."""

from __future__ import annotations

from allauth.account.views import SignupView
from allauth.usersessions.adapter import get_adapter as get_sessions_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.deletion import DeletionError, delete_account
from accounts.forms import DeletionForm, ProfileForm, UsernameForm
from accounts.models import User
from accounts.signup import SignupForm
from config import limits
from moderation import audit


class Signup(SignupView):
    """Sign-up, counted, and safe against two who ask for the same name at once."""

    def form_valid(self, form: SignupForm) -> HttpResponse:
        """Make the account. What somebody else took between the check and now is found by a second check."""
        limits.take_all("signup", self.request, form.cleaned_data["email"])
        try:
            with transaction.atomic():
                return super().form_valid(form)
        except IntegrityError:
            again = type(form)(**self.get_form_kwargs())
            return super().form_valid(again) if again.is_valid() else self.form_invalid(again)


signup = Signup.as_view()


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Name, picture, what one says of oneself, language of mail."""
    # Its own copy: a form that is refused has already written into it, and the header shows request.user.
    user = get_object_or_404(User, pk=request.user.pk)
    form = ProfileForm(request.POST or None, request.FILES or None, instance=user)
    if request.method == "POST" and form.is_valid():
        try:
            form.save()
        except ValidationError as error:
            form.add_error("avatar", error)
        else:
            messages.success(request, _("Your profile is saved."))
            return redirect("account_profile")
    return render(request, "account/profile.html", {"form": form})


@login_required
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponseBase:
    """End one of one's own sessions; another's is 404."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    get_sessions_adapter().end_sessions([session])
    messages.success(request, _("The session has ended."))
    return redirect("usersessions_list")


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def username(request: HttpRequest) -> HttpResponse:
    """Another username; the old one stays this account's and leads to the new one."""
    user = get_object_or_404(User, pk=request.user.pk)
    former = user.username
    form = UsernameForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        audit.record("user.renamed", user, detail={"from": former, "to": user.username})
        messages.success(request, _("Your username is changed. The old address leads to the new one."))
        return redirect("account_username")
    return render(request, "account/username.html", {"form": form})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    """Delete one's own account."""
    user = get_object_or_404(User, pk=request.user.pk)
    form = DeletionForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            delete_account(user)
        except DeletionError:
            form.add_error(None, _("You are the only administrator: make somebody else one first."))
        else:
            logout(request)
            messages.success(request, _("Your account is deleted."))
            return redirect("/")
    return render(request, "account/delete.html", {"form": form})
