"""The addresses of the blog."""

from __future__ import annotations

from django.contrib.sitemaps.views import index as sitemap_index
from django.contrib.sitemaps.views import sitemap
from django.urls import path, register_converter

from blog import converters, feeds, former, responding, sitemaps, views

register_converter(converters.UsernameConverter, "username")
register_converter(converters.SlugConverter, "uslug")
register_converter(converters.NameConverter, "name")
register_converter(converters.NumberConverter, "number")
register_converter(converters.YearConverter, "year")
register_converter(converters.MonthConverter, "month")
register_converter(converters.ArticleConverter, "article")

app_name = "blog"
urlpatterns = [
    path("", views.front, name="front"),
    path("index/", former.index),
    path("robots.txt", views.robots, name="robots"),
    path(
        "sitemap.xml",
        views.read_only(sitemap_index),
        {"sitemaps": sitemaps.PARTS, "sitemap_url_name": "blog:sitemap_part"},
        name="sitemap",
    ),
    path("sitemap-<slug:section>.xml", views.read_only(sitemap), {"sitemaps": sitemaps.PARTS}, name="sitemap_part"),
    path("feed.atom", views.read_only(feeds.SiteFeed()), name="feed"),
    path("feed.rss", views.read_only(feeds.SiteRss()), name="rss"),
    path("search/", views.search, name="search"),
    path("tag/<uslug:slug>/", views.tag, name="tag"),
    path("tag/<uslug:slug>/feed.atom", views.read_only(feeds.TagFeed()), name="tag_feed"),
    path("tag/<uslug:slug>/feed.rss", views.read_only(feeds.TagRss()), name="tag_rss"),
    path("comments/<id:pk>/", responding.permalink, name="comment"),
    path("comments/<id:pk>/edit/", responding.edit, name="comment_edit"),
    path("comments/<id:pk>/delete/", responding.delete, name="comment_delete"),
    path("comments/<id:pk>/moderate/", responding.moderate, name="comment_moderate"),
    path("comments/on/<id:pk>/", responding.write, name="comment_write"),
    path("votes/<id:pk>/", responding.vote, name="vote"),
    path("<year:year>/<month:month>/", views.month, name="month"),
    path("<username:username>/", views.author, name="author"),
    path("<username:username>/feed.atom", views.read_only(feeds.AuthorFeed()), name="author_feed"),
    path("<username:username>/feed.rss", views.read_only(feeds.AuthorRss()), name="author_rss"),
    path("<username:username>/category/<uslug:slug>/", views.author_category, name="author_category"),
    path("<username:username>/tag/<uslug:slug>/", views.author_tag, name="author_tag"),
    path("<username:username>/<year:year>/<month:month>/", views.author_month, name="author_month"),
    path("<username:username>/<article:reference>/", views.article, name="article"),
    # Addresses of the article's blog.
    path("<username:username>/articles/<number:number>", former.article),
    path("<username:username>/articles/<number:number>/", former.article),
    path("<username:username>/archive/<year:year>/<month:month>", former.archive),
    path("<username:username>/archive/<year:year>/<month:month>/", former.archive),
    path("<username:username>/tag/<name:name>", former.tag),
    path("<username:username>/tag/<name:name>/", former.tag),
    path("<username:username>/category/<name:name>", former.category),
    path("<username:username>/category/<name:name>/", former.category),
]
