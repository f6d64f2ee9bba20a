"""Feeds of the site, of each author and of each tag, as Atom and as RSS, with the whole text."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import translation
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed
from django.utils.translation import gettext as _

from accounts.models import User
from blog.models import Article, ArticleQuerySet, Tag
from blog.text import clean_text

ENTRIES = 20


def tag_uri(date: str, name: str) -> str:
    """An id that stays when the address changes (RFC 4151)."""
    return f"tag:{settings.SITE_HOST},{date}:{name}"


TAG = re.compile(r"<(?:a|img) [^>]*>")
IN_SIZES = re.compile(r"<source [^>]*>|</?picture>")
ADDRESS = re.compile(r'( (?:href|src)=")(/(?!/)|#)')


def with_absolute_addresses(html: str, address: str) -> str:
    """The rendered `html` of the article at `address`, as it is needed away from it: with absolute addresses, and
    pictures in one size.
    """

    def absolute(match: re.Match[str]) -> str:
        return match[1] + (f"{settings.SITE_URL}/" if match[2] == "/" else f"{address}#")

    return TAG.sub(lambda tag: ADDRESS.sub(absolute, tag[0]), IN_SIZES.sub("", html))


class FullTextAtom(Atom1Feed):
    """Atom with the summary as text, the whole article as its content, and a base for the relative addresses in it."""

    def root_attributes(self) -> dict[str, str]:
        """As Django's, with xml:base."""
        return {**super().root_attributes(), "xml:base": f"{settings.SITE_URL}/"}

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
        """As Django's, with the content, and the summary marked as what it is."""
        summary, item["description"] = item["description"], None
        super().add_item_elements(handler, item)
        if summary:
            handler.addQuickElement("summary", summary, {"type": "text"})
        handler.addQuickElement("content", item["content"], {"type": "html", "xml:lang": item["language"]})


class FullTextRss(Rss201rev2Feed):
    """RSS 2.0 with the whole article (RDF Site Summary 1.0, module "content")."""

    def rss_attributes(self) -> dict[str, str]:
        """As Django's, with that module's namespace."""
        return {**super().rss_attributes(), "xmlns:content": "http://purl.org/rss/1.0/modules/content/"}

    def add_item_elements(self, handler: Any, item: dict[str, Any]) -> None:
        """As Django's, with the content."""
        super().add_item_elements(handler, item)
        handler.addQuickElement("content:encoded", item["content"])


class ArticleFeed(Feed):
    """What all feeds have in common. Feeds are in the site's language, whoever asks."""

    feed_type: type[Atom1Feed | Rss201rev2Feed] = FullTextAtom
    # The name of its address.
    route = ""
    item_guid_is_permalink = False

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the feed."""
        with translation.override(settings.LANGUAGE_CODE):
            response = super().__call__(request, *args, **kwargs)
            response["Content-Language"] = settings.LANGUAGE_CODE
            return response

    def entries(self, obj: Any) -> ArticleQuerySet:
        """The articles of the feed."""
        raise NotImplementedError

    def items(self, obj: Any) -> list[Article]:
        """The newest of them, with their texts."""
        articles = self.entries(obj).published().newest()
        return list(articles.select_related("author", "category").prefetch_related("tags").defer("body")[:ENTRIES])

    def item_title(self, item: Any) -> str:
        """Its title."""
        return clean_text(item.title)

    def item_description(self, item: Any) -> str:
        """Its summary."""
        return clean_text(item.excerpt)

    def item_link(self, item: Any) -> str:
        """Its public address."""
        return f"{settings.SITE_URL}{item.get_absolute_url()}"

    def item_guid(self, item: Any) -> str:
        """Its id, for good."""
        return tag_uri(item.first_published_at.strftime("%Y-%m-%d"), f"article/{item.pk}")

    def item_author_name(self, item: Any) -> str:
        """Its author."""
        return clean_text(item.author.name)

    def item_author_link(self, item: Any) -> str:
        """The author's page."""
        return f"{settings.SITE_URL}{item.author.get_absolute_url()}"

    def item_pubdate(self, item: Any) -> datetime:
        """When it was published."""
        return item.published_at

    def item_updateddate(self, item: Any) -> datetime:
        """When it was changed last; never before it was published."""
        return item.changed_at

    def item_categories(self, item: Any) -> list[str]:
        """Its category and tags."""
        own = [item.category.name] if item.category else []
        return [clean_text(name) for name in (*own, *(tag.name for tag in item.tags.all()))]

    def item_extra_kwargs(self, item: Any) -> dict[str, Any]:
        """The whole text, and the language it is in."""
        content = with_absolute_addresses(clean_text(item.body_html), self.item_link(item))
        return {"content": content, "language": item.language}


class SiteFeed(ArticleFeed):
    """The newest articles of all authors."""

    route = "blog:feed"

    def title(self) -> str:
        """The site's name."""
        return settings.SITE_NAME

    def subtitle(self) -> str:
        """What it is."""
        return _("The newest articles of all authors")

    def link(self) -> str:
        """The front page."""
        return f"{settings.SITE_URL}/"

    def feed_url(self) -> str:
        """Where the feed is."""
        return f"{settings.SITE_URL}{reverse(self.route)}"

    def feed_guid(self) -> str:
        """Its id, for good."""
        return tag_uri("2026", "feed")

    def entries(self, obj: Any) -> ArticleQuerySet:
        """All of them."""
        return Article.objects.all()


class AuthorFeed(ArticleFeed):
    """The newest articles of one author."""

    route = "blog:author_feed"

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with the feed or, under a name the author no longer has, with its new address."""
        try:
            return super().__call__(request, *args, **kwargs)
        except Http404:
            author = get_object_or_404(User, taken_names__name__lower=kwargs["username"].lower())
            return HttpResponsePermanentRedirect(reverse(self.route, args=[author.username]))

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> User:
        """The author of the address, in any case; 404 when there is none."""
        try:
            return User.objects.select_related("blog").get(username__lower=kwargs["username"].lower())
        except User.DoesNotExist as error:
            raise Http404("no such author") from error

    def title(self, obj: User) -> str:
        """What the author's blog is called."""
        blog = getattr(obj, "blog", None)
        return clean_text(blog.title if blog else obj.name)

    def subtitle(self, obj: User) -> str:
        """What it is about."""
        blog = getattr(obj, "blog", None)
        return clean_text(blog.tagline if blog else "")

    def link(self, obj: User) -> str:
        """The author's page."""
        return f"{settings.SITE_URL}{obj.get_absolute_url()}"

    def feed_url(self, obj: User) -> str:
        """Where the feed is."""
        return f"{settings.SITE_URL}{reverse(self.route, args=[obj.username])}"

    def feed_guid(self, obj: User) -> str:
        """Its id, for good."""
        return tag_uri("2026", f"author/{obj.pk}")

    def author_name(self, obj: User) -> str:
        """The author."""
        return clean_text(obj.name)

    def entries(self, obj: User) -> ArticleQuerySet:
        """The author's."""
        return Article.objects.filter(author=obj)


class TagFeed(ArticleFeed):
    """The newest articles of all authors with one tag."""

    route = "blog:tag_feed"

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Tag:
        """The tag of the address; 404 where there is none, or no public article has it."""
        found = Tag.objects.filter(slug=kwargs["slug"]).first()
        if found is None or not self.entries(found).published().exists():
            raise Http404("no such tag")
        return found

    def title(self, obj: Tag) -> str:
        """The tag, and the site's name."""
        return f"#{clean_text(obj.name)} · {settings.SITE_NAME}"

    def subtitle(self, obj: Tag) -> str:
        """What it is."""
        return _("The newest articles of all authors")

    def link(self, obj: Tag) -> str:
        """The tag's page."""
        return f"{settings.SITE_URL}{obj.get_absolute_url()}"

    def feed_url(self, obj: Tag) -> str:
        """Where the feed is."""
        return f"{settings.SITE_URL}{reverse(self.route, args=[obj.slug])}"

    def feed_guid(self, obj: Tag) -> str:
        """Its id, for good."""
        return tag_uri("2026", f"tag/{obj.pk}")

    def entries(self, obj: Tag) -> ArticleQuerySet:
        """Those with the tag."""
        return Article.objects.filter(article_tags__tag=obj)


class SiteRss(SiteFeed):
    """The same as RSS."""

    feed_type = FullTextRss
    route = "blog:rss"
    description = SiteFeed.subtitle


class AuthorRss(AuthorFeed):
    """The same as RSS."""

    feed_type = FullTextRss
    route = "blog:author_rss"
    description = AuthorFeed.subtitle


class TagRss(TagFeed):
    """The same as RSS."""

    feed_type = FullTextRss
    route = "blog:tag_rss"
    description = TagFeed.subtitle
