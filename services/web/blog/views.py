"""The pages. Each view reads the address, asks the models, and renders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.models import User
from blog import discussion, structured_data
from blog.forms import CommentForm
from blog.models import Article, ArticleQuerySet, Blog, Category, Comment, Tag
from blog.search import LONGEST_QUERY, MOST_FOUND, Search
from blog.text import clean_line, folded

PER_PAGE = 10
COMMENTS_PER_PAGE = 100
RECOMMENDED = 10
RECENT_TAGS = 20
FACETS = 8
RELATED = 4

View = Callable[..., HttpResponse]


def read_only(view: View) -> View:
    """GET and HEAD only: anything else is 405. CSRF is not asked first, as nothing that could write is ever let in."""
    return csrf_exempt(require_safe(view))


def page(view: View) -> View:
    """A page that is only read. It differs by the cookies for language, colours and session, and says so."""

    @wraps(view)
    def varied(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response

    return read_only(varied)


def paged(
    request: HttpRequest,
    items: QuerySet[Any] | Sequence[Any],
    per_page: int = PER_PAGE,
    total: int | None = None,
    page: int | None = None,
) -> dict[str, Any]:
    """The page of `items` that `page` or else `?page=` names, as `page_obj` and `page_range`; 404 for none such.

    `total` is how many items there are, where that is known already and need not be asked.
    """
    number = request.GET.get("page", "1") if page is None else str(page)
    # int() takes more than digits, and its digits of other scripts would be second addresses of the same page.
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise Http404("no such page")
    paginator = Paginator(items, per_page)
    if total is not None:
        paginator.count = total
    try:
        page_obj: Page[Any] = paginator.page(int(number))
    except InvalidPage as error:
        raise Http404("no such page") from error
    numbers = paginator.get_elided_page_range(page_obj.number, on_each_side=1, on_ends=1)
    return {"page_obj": page_obj, "page_range": list(numbers)}


def listing(request: HttpRequest, articles: ArticleQuerySet, total: int | None = None) -> dict[str, Any]:
    """The page of `articles`, newest first, ready to be listed."""
    return paged(request, articles.newest().for_listing(), total=total)


def published() -> ArticleQuerySet:
    """What everybody may read now."""
    return Article.objects.published()


def month_name(year: int, month_number: int) -> str:
    """The month in the reader's language."""
    return formats.date_format(date(year, month_number, 1), "YEAR_MONTH_FORMAT")


def in_month(articles: ArticleQuerySet, year: int, month_number: int) -> ArticleQuerySet:
    """`articles` of that month; 404 for one outside the calendar."""
    try:
        return articles.in_month(year, month_number)
    except ValueError as error:
        raise Http404("no such month") from error


def in_all(months: list[dict[str, Any]]) -> int:
    """How many articles `months` count."""
    return sum(entry["count"] for entry in months)


def require_any(context: dict[str, Any]) -> dict[str, Any]:
    """`context`, unless its list is empty: 404. There are endless empty months, and no reason to index them."""
    if not context["page_obj"].paginator.count:
        raise Http404("nothing here")
    return context


@page
def front(request: HttpRequest) -> HttpResponse:
    """The newest articles, and what the site has besides: recommended ones, tags, months."""
    articles = published()
    months = articles.months()
    context = {
        **listing(request, articles, total=in_all(months)),
        "recommended": list(
            articles.recommended()
            .select_related("author")
            .only("title", "slug", "language", "up_count", "author__username", "author__display_name")[:RECOMMENDED]
        ),
        "tags": list(Tag.objects.recent()[:RECENT_TAGS]),
        "months": months,
    }
    return render(request, "blog/front.html", context)


@page
def tag(request: HttpRequest, slug: str) -> HttpResponse:
    """Articles of all authors with a tag."""
    found = get_object_or_404(Tag, slug=slug)
    context = require_any(listing(request, published().filter(article_tags__tag=found)))
    return render(request, "blog/listing.html", {**context, "heading": found.name, "tag": found})


@page
def month(request: HttpRequest, year: int, month: int) -> HttpResponse:
    """Articles of all authors of one month."""
    context = require_any(listing(request, in_month(published(), year, month)))
    return render(request, "blog/listing.html", {**context, "heading": month_name(year, month)})


@page
def search(request: HttpRequest) -> HttpResponse:
    """The articles that have what `?q=` asks for, best first, where `author` and `tag` name a filter of that one's."""
    typed = clean_line(request.GET.get("q", ""))
    username, slug = (clean_line(request.GET.get(name, "")) for name in ("author", "tag"))
    by = User.objects.filter(username__lower=username.lower()).defer("password").first() if username else None
    under = Tag.objects.filter(slug=slug).first() if slug else None
    error = ""
    ids: list[int] = []
    wanted = Search(typed) if len(typed) <= LONGEST_QUERY else None
    if wanted is None:
        error = _("A search has at most %(limit)d characters.") % {"limit": LONGEST_QUERY}
    elif wanted.asked:
        articles = published()
        if username:
            articles = articles.filter(author=by) if by else articles.none()
        if slug:
            articles = articles.filter(article_tags__tag=under) if under else articles.none()
        ids = wanted.find(articles)
    elif typed:
        error = _("There is nothing in it that could be looked for: a search needs a letter, a digit or a character.")
    context = paged(request, ids)
    on_page = context["page_obj"]
    if wanted is not None and on_page.object_list:
        found = Article.objects.filter(pk__in=on_page.object_list).for_listing()
        by_id = {article.pk: article for article in found.select_related("search_entry").defer("search_entry__vector")}
        on_page.object_list = [by_id[pk] for pk in on_page.object_list if pk in by_id]
        wanted.highlight(on_page.object_list)
    context |= {
        "query": typed,
        "error": error,
        "filters": {"author": username, "tag": slug},
        "by": by,
        "under": under,
        "most": MOST_FOUND if len(ids) == MOST_FOUND else None,
        "longest": LONGEST_QUERY,
        # A page of results is nothing that another search should find.
        "canonical_url": "",
    }
    if ids:
        authors = User.objects.filter(articles__in=ids).annotate(article_count=Count("pk"))
        tags = Tag.objects.filter(article_tags__article__in=ids).annotate(article_count=Count("pk"))
        context["authors"] = list(authors.defer("password", "bio").order_by("-article_count", "username")[:FACETS])
        context["tags"] = list(tags.order_by("-article_count", "name")[:FACETS])
    return render(request, "blog/search.html", context)


def author_or_404(username: str) -> User:
    """The author who has that name, in any case, or had it once; with the blog."""
    authors = User.objects.select_related("blog").defer("password")
    try:
        return authors.get(username__lower=username.lower())
    except User.DoesNotExist:
        return get_object_or_404(authors, taken_names__name__lower=username.lower())


def canonical_or_none(request: HttpRequest, author: User, username: str) -> HttpResponse | None:
    """A redirect to the author's page under the name as it is written, when the address had it otherwise."""
    if author.username == username:
        return None
    match = request.resolver_match
    assert match is not None  # noqa: S101  (a view is running)
    address = reverse(match.view_name, kwargs={**match.kwargs, "username": author.username})
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)


def author_page(
    request: HttpRequest, author: User, articles: ArticleQuerySet | None = None, kind: str = "", heading: str = ""
) -> HttpResponse:
    """The author's page: with all articles of the author or, under `heading`, with `articles`, a part by `kind`.

    404 for a tag or month without any.
    """
    own = published().filter(author=author)
    months = own.months()
    context = listing(request, own, total=in_all(months)) if articles is None else listing(request, articles)
    if kind in ("tag", "month"):
        require_any(context)
    shown = Q(articles__status=Article.Status.PUBLISHED, articles__published_at__lte=timezone.now())
    return render(
        request,
        "blog/author.html",
        {
            **context,
            "author": author,
            "blog": getattr(author, "blog", None) or Blog(author=author, title=author.name),
            "heading": heading,
            "filter": {"kind": kind, "label": heading} if kind else None,
            "categories": list(
                author.categories.annotate(article_count=Count("articles", filter=shown)).order_by("name")
            ),
            "tags": list(Tag.objects.used_by(author)[:RECENT_TAGS]),
            "months": months,
        },
    )


def former_tag(author: User, name: str) -> str:
    """The address of an author's articles with the tag called `name`, in any case and width; 404 for none."""
    tag = get_object_or_404(Tag, key=folded(clean_line(name)))
    return reverse("blog:author_tag", args=[author.username, tag.slug])


def former_category(author: User, name: str) -> str:
    """The same for a category of the author's."""
    category = get_object_or_404(Category, author=author, key=folded(clean_line(name)))
    return reverse("blog:author_category", args=[author.username, category.slug])


@page
def author(request: HttpRequest, username: str) -> HttpResponse:
    """An author's blog."""
    found = author_or_404(username)
    return canonical_or_none(request, found, username) or author_page(request, found)


@page
def author_category(request: HttpRequest, username: str, slug: str) -> HttpResponse:
    """An author's articles in one category."""
    found = author_or_404(username)
    category = Category.objects.filter(author=found, slug=slug).first()
    if category is None:
        return HttpResponsePermanentRedirect(former_category(found, slug))
    articles = published().filter(author=found, category=category)
    redirect = canonical_or_none(request, found, username)
    return redirect or author_page(request, found, articles, "category", category.name)


@page
def author_tag(request: HttpRequest, username: str, slug: str) -> HttpResponse:
    """An author's articles with one tag."""
    found = author_or_404(username)
    chosen = Tag.objects.filter(slug=slug).first()
    if chosen is None:
        return HttpResponsePermanentRedirect(former_tag(found, slug))
    articles = published().filter(author=found, article_tags__tag=chosen)
    redirect = canonical_or_none(request, found, username)
    return redirect or author_page(request, found, articles, "tag", chosen.name)


@page
def author_month(request: HttpRequest, username: str, year: int, month: int) -> HttpResponse:
    """An author's articles of one month."""
    found = author_or_404(username)
    articles = in_month(published().filter(author=found), year, month)
    redirect = canonical_or_none(request, found, username)
    return redirect or author_page(request, found, articles, "month", month_name(year, month))


@page
def article(request: HttpRequest, username: str, reference: tuple[int, str]) -> HttpResponse:
    """An article with its comments. Under another name or slug than its own it is redirected to its address."""
    number, slug = reference
    found = get_object_or_404(discussion.readable(request), pk=number)
    if (username, slug) != (found.author.username, found.slug):
        return HttpResponsePermanentRedirect(found.get_absolute_url())
    return article_page(request, found, comments_of(request, found))


def comments_of(
    request: HttpRequest, article: Article, form: CommentForm | None = None, focus: Comment | None = None
) -> dict[str, Any]:
    """What the page of `article` (from discussion.readable) shows below it: votes, comments, the form.

    `form` is one that was sent and is shown again, `focus` a comment whose page is wanted and that is pointed out.
    """
    reader = discussion.reader_of(request)
    moderates = discussion.may_moderate(reader, article)
    shown = article.comments.shown_to(reader, moderates=moderates)
    page_number = None if focus is None else discussion.page_of(shown, focus, COMMENTS_PER_PAGE)
    paging = paged(request, shown.threaded(), COMMENTS_PER_PAGE, page=page_number)
    comments = list(paging["page_obj"])
    may_comment = discussion.may_comment(reader, article)
    answered = None
    if may_comment and form is None:
        wanted = request.GET.get("reply", "") if request.method in ("GET", "HEAD") else ""
        answered = discussion.answerable(article, comments, wanted)
        form = CommentForm(answers=answered is not None, parent=answered.pk if answered else None)
    elif form is not None:
        answered = discussion.answerable(article, comments, str(form["parent"].value() or ""))
    return {
        **paging,
        "article": article,
        "path": article.get_absolute_url(),
        "comments": comments,
        "threads": discussion.threads(comments, reader, article, moderates=moderates, focus=focus),
        "may_comment": may_comment,
        "form": form,
        "answered": answered,
        # Below the comment that is answered, where that is on this page.
        "form_below": answered.pk if answered is not None and answered in comments else None,
    }


def article_page(request: HttpRequest, found: Article, below: dict[str, Any], status: int = 200) -> HttpResponse:
    """The page of an article, with what comments_of() gave."""
    of_author = published().filter(author_id=found.author_id).select_related("author").defer("body", "body_html")
    canonical_url = found.canonical_url or f"{settings.SITE_URL}{found.get_absolute_url()}"
    earlier = Q(published_at=found.published_at, pk__lt=found.pk) | Q(published_at__lt=found.published_at)
    later = Q(published_at=found.published_at, pk__gt=found.pk) | Q(published_at__gt=found.published_at)
    context = {
        **below,
        "previous": of_author.filter(earlier).newest().first(),
        "next": of_author.filter(later).order_by("published_at", "pk").first(),
        "related": list(
            published()
            .related_to(found)
            .select_related("author")
            .only("title", "slug", "language", "published_at", "author__username")[:RELATED]
        ),
        "canonical_url": canonical_url,
        "structured_data": structured_data.article(found, canonical_url),
    }
    return render(request, "blog/article.html", context, status=status)


@read_only
def robots(request: HttpRequest) -> HttpResponse:
    """What crawlers may not ask for, and where they find the rest."""
    sitemap = f"{settings.SITE_URL}{reverse('blog:sitemap')}"
    text = f"User-agent: *\nDisallow: /admin/\nDisallow: /search/\nDisallow: /comments/\n\nSitemap: {sitemap}\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
