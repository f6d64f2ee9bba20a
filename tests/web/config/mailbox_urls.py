"""The addresses of the site with the mailbox of development, which DEBUG adds when the real ones are read."""

from __future__ import annotations

from django.urls import path

from config import mailbox
from config.urls import urlpatterns as site

urlpatterns = [
    path("mail/", mailbox.mailbox, name="mailbox"),
    path("mail/<int:number>/", mailbox.mail, name="mailbox_mail"),
    *site,
]
