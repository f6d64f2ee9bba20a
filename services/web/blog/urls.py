"""The addresses of the blog."""

from __future__ import annotations

from django.urls import path, register_converter

from blog import converters, feeds, views

register_converter(converters.UsernameConverter, "username")
register_converter(converters.SlugConverter, "uslug")
register_converter(converters.YearConverter, "year")
register_converter(converters.MonthConverter, "month")
register_converter(converters.ArticleConverter, "article")

app_name = "blog"
urlpatterns = [
    path("", views.front, name="front"),
    path("robots.txt", views.robots, name="robots"),
    path("feed.atom", views.read_only(feeds.SiteFeed()), name="feed"),
    path("search/", views.search, name="search"),
    path("tag/<uslug:slug>/", views.tag, name="tag"),
    path("<year:year>/<month:month>/", views.month, name="month"),
    path("<username:username>/", views.author, name="author"),
    path("<username:username>/feed.atom", views.read_only(feeds.AuthorFeed()), name="author_feed"),
    path("<username:username>/category/<uslug:slug>/", views.author_category, name="author_category"),
    path("<username:username>/tag/<uslug:slug>/", views.author_tag, name="author_tag"),
    path("<username:username>/<year:year>/<month:month>/", views.author_month, name="author_month"),
    path("<username:username>/<article:reference>/", views.article, name="article"),
]
