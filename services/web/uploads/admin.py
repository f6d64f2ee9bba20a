"""Pictures in Django's admin: read there, and deleted with their files."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from blog import writing
from moderation.site import Kept
from uploads.models import Picture


@admin.register(Picture)
class PictureAdmin(Kept, admin.ModelAdmin):
    """What people uploaded."""

    list_display = ("__str__", "owner", "size", "weight", "created_at", "ready")
    list_select_related = ("owner",)
    list_filter = ("ready", "created_at")
    search_fields = ("label", "alt", "=name", "=owner__username")
    search_help_text = _("Words of its name or description, its whole file, or a whole username.")
    ordering = ("-pk",)
    fields = readonly_fields = ("shown", "owner", "name", "label", "alt", "size", "weight", "created_at", "ready")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As Django has it."""
        return request.user.has_perm("uploads.delete_picture")

    def delete_model(self, request: HttpRequest, obj: Picture) -> None:
        """With its files, and from the articles whose cover it is."""
        writing.take_picture_out(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Picture]) -> None:
        """Likewise, for the action on several."""
        for picture in queryset:
            writing.take_picture_out(picture)

    @admin.display(description=_("size"))
    def size(self, picture: Picture) -> str:
        """In pixels."""
        return f"{picture.width} × {picture.height}"

    @admin.display(description=_("bytes"), ordering="bytes")
    def weight(self, picture: Picture) -> str:
        """Of the original."""
        return filesizeformat(picture.bytes)

    @admin.display(description=_("picture"))
    def shown(self, picture: Picture) -> SafeString:
        """The picture."""
        return format_html('<img src="{}" alt="{}" width="320">', picture.thumbnail, picture.alt)
