"""The addresses below /account/: own pages, allauth's with limits, and the rest of allauth's as they are."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from django.urls import include, path

from accounts import views
from config.limits import limited
from config.preferences import same_origin

urlpatterns = [
    path("", limited("account")(views.profile), name="account_profile"),
    path("username/", limited("account")(views.username), name="account_username"),
    path("delete/", limited("login")(views.delete), name="account_delete"),
    path("login/", limited("login", "login")(account.login), name="account_login"),
    # Every page has the button: with the Origin checked instead of a token, a page needs no cookie for it.
    path("logout/", same_origin(account.logout), name="account_logout"),
    path("signup/", views.signup, name="account_signup"),
    path("email/", limited("account")(account.email), name="account_email"),
    path("password/reset/", limited("reset", "email")(account.password_reset), name="account_reset_password"),
    path("password/change/", limited("account")(account.password_change), name="account_change_password"),
    path("reauthenticate/", limited("login")(account.reauthenticate), name="account_reauthenticate"),
    path("2fa/authenticate/", limited("code")(mfa.authenticate), name="mfa_authenticate"),
    path("2fa/reauthenticate/", limited("code")(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("sessions/<int:pk>/end/", limited("account")(views.end_session), name="account_end_session"),
    path("", include("allauth.urls")),
]
