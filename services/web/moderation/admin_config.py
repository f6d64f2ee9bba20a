"""django.contrib.admin as INSTALLED_APPS names it here. Apart from `apps`, which may have one configuration only."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class OwnersAdminConfig(AdminConfig):
    """Django's, with the site's own AdminSite."""

    default_site = "moderation.site.OwnersSite"
