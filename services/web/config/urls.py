"""The addresses of the site. The first segment of each is a name that no user may have (accounts.names)."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import URLPattern, URLResolver, include, path, re_path

from blog.desk import shared
from config import mailbox
from config.preferences import set_language, set_theme
from notices.views import unsubscribe

# One log-in for everybody, with its limits and second factors; who is logged in without the right to it gets 403.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = settings.SITE_NAME

handler500 = "config.errors.server_error"
urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("account/", include("accounts.urls")),
    path("i18n/setlang/", set_language, name="set_language"),
    path("preferences/theme/", set_theme, name="set_theme"),
    path("write/", include("blog.desk_urls")),
    path("report/", include("moderation.urls")),
    path("notifications/", include("notices.urls")),
    re_path(r"^unsubscribe/(?P<token>[\w.=-]{1,200})/$", unsubscribe, name="unsubscribe"),
    re_path(r"^preview/(?P<token>[0-9a-f]{64})/$", shared, name="shared"),
    # Only in DEBUG (Django sees to that): the proxy serves /static/ itself where it has the collected files.
    *staticfiles_urlpatterns(),
]
if settings.DEBUG:
    urlpatterns += [
        path("mail/", mailbox.mailbox, name="mailbox"),
        path("mail/<int:number>/", mailbox.mail, name="mailbox_mail"),
    ]
if "debug_toolbar" in settings.INSTALLED_APPS:
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
# Last: its author pages match any first segment.
urlpatterns.append(path("", include("blog.urls")))
