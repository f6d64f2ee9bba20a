"""Who was told of what, in Django's admin."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from moderation.site import Kept
from notices.models import Notice, OptOut


@admin.register(Notice)
class NoticeAdmin(Kept, admin.ModelAdmin):
    """Notifications. They go with their comment."""

    list_display = ("recipient", "kind", "comment_id", "created_at", "read_at")
    list_select_related = ("recipient",)
    list_filter = ("created_at",)
    search_fields = ("=recipient__username",)
    search_help_text = _("A whole username.")
    ordering = ("-pk",)
    fields = readonly_fields = ("recipient", "kind", "comment_id", "in_site", "created_at", "read_at")


@admin.register(OptOut)
class OptOutAdmin(Kept, admin.ModelAdmin):
    """What people do not want to be told. It is theirs to change."""

    list_display = ("user", "kind", "channel")
    list_select_related = ("user",)
    search_fields = ("=user__username",)
    search_help_text = _("A whole username.")
    ordering = ("-pk",)
    fields = readonly_fields = ("user", "kind", "channel")
