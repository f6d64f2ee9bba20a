"""The addresses of the back office, below /write/."""

from __future__ import annotations

from django.urls import path

from blog import converters, desk, gallery, moderating, shelves  # noqa: F401  (converters registers <id:…>)

app_name = "desk"
urlpatterns = [
    path("", desk.articles, name="articles"),
    path("new/", desk.new, name="new"),
    path("new/autosave/", desk.autosave, name="autosave_new"),
    path("new/discard/", desk.discard, name="discard_new"),
    path("comments/", moderating.comments, name="comments"),
    path("blocked/", moderating.blocked, name="blocked"),
    path("blog/", shelves.blog, name="blog"),
    path("categories/", shelves.categories, name="categories"),
    path("categories/<id:pk>/", shelves.category, name="category"),
    path("categories/<id:pk>/delete/", shelves.delete_category, name="delete_category"),
    path("preview/", desk.preview, name="preview"),
    path("pictures/", gallery.pictures, name="pictures"),
    path("pictures/<id:pk>/", gallery.picture, name="picture"),
    path("pictures/<id:pk>/delete/", gallery.delete_picture, name="delete_picture"),
    path("<id:pk>/", desk.edit, name="edit"),
    path("<id:pk>/autosave/", desk.autosave, name="autosave"),
    path("<id:pk>/discard/", desk.discard, name="discard"),
    path("<id:pk>/trash/", desk.trash, name="trash"),
    path("<id:pk>/restore/", desk.restore, name="restore"),
    path("<id:pk>/delete/", desk.delete, name="delete"),
    path("<id:pk>/revisions/", desk.revisions, name="revisions"),
    path("<id:pk>/revisions/<id:number>/", desk.revision, name="revision"),
    path("<id:pk>/revisions/<id:number>/restore/", desk.restore_revision, name="restore_revision"),
    path("<id:pk>/links/", desk.links, name="links"),
    path("<id:pk>/links/<id:number>/revoke/", desk.revoke, name="revoke"),
]
