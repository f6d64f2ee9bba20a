"""The addresses below /report/."""

from __future__ import annotations

from django.urls import re_path

from moderation import views

app_name = "moderation"
urlpatterns = [re_path(r"^(?P<kind>comment|article|user)/(?P<pk>[0-9]{1,18})/$", views.report, name="report")]
