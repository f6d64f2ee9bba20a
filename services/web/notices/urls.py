"""The addresses below /notifications/."""

from __future__ import annotations

from django.urls import path

from blog import converters  # noqa: F401  (registers <id:…>)
from notices import views

app_name = "notices"
urlpatterns = [
    path("", views.notices, name="list"),
    path("read/", views.read, name="read"),
    path("settings/", views.settings, name="settings"),
    path("<id:pk>/", views.notice, name="open"),
]
