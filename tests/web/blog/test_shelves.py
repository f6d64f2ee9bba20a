"""Categories in the back office, and the blog's own title."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from blog.models import Article, Blog, Category
from blog.shelves import CategoryForm, merge
from tests.web.accounts.people import a_member
from tests.web.builders import a_category, a_user, an_article


@pytest.fixture
def author(client: Client) -> User:
    """Who is logged in."""
    user = a_member("ann")
    client.force_login(user)
    return user


def names() -> list[str]:
    """The categories there are."""
    return list(Category.objects.order_by("name").values_list("name", flat=True))


# Session, user and unread notifications are in each.
QUERIES = {
    "/write/categories/": 5,  # how many, which
    "/write/categories/ID/": 5,  # the category, the others
    "/write/categories/ID/delete/": 4,
    "/write/blog/": 4,
}


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [1, 7])
def test_the_pages_make_this_many_queries(client: Client, author: User, rows: int, queries_of: Any) -> None:
    for number in range(rows):
        an_article(author, category=a_category(author, f"c{number}"))
    some, others = Category.objects.first(), Category.objects.count() > 1
    assert some is not None
    client.get("/write/categories/")
    for address, number in QUERIES.items():
        with queries_of(number):
            assert client.get(address.replace("ID", str(some.pk))).status_code == 200
    assert ("Merge" in client.get(f"/write/categories/{some.pk}/").text) == others


@pytest.mark.django_db
def test_the_list_counts_what_is_not_in_the_trash(client: Client, author: User) -> None:
    category = a_category(author)
    a_category(a_user("bob"), "Not mine")
    for status in ("published", "draft", "trashed"):
        an_article(author, status=status, category=category)
    page = client.get("/write/categories/")
    assert "2 articles" in page.text
    assert "Not mine" not in page.text
    assert f'href="/write/?category={category.pk}"' in page.text


@pytest.mark.django_db
def test_a_category_is_added(client: Client, author: User) -> None:
    response = client.post("/write/categories/", {"name": " 部署 笔记 "})
    assert (response.status_code, response["Location"]) == (302, "/write/categories/")
    assert Category.objects.values_list("name", "slug", "author__username").get() == ("部署 笔记", "部署-笔记", "ann")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("notes", "You have a category of that name."),
        ("ＮＯＴＥＳ", "You have a category of that name."),
        ("", "required"),
        ("\u202e\0", "required"),
        ("x" * 51, "50 characters"),
        ("ﷺ" * 40, "longer than"),
    ],
)
def test_a_name_that_cannot_be_is_told_beside_the_field(client: Client, author: User, name: str, said: str) -> None:
    a_category(author)
    other = a_category(author, "Other")
    for address in ("/write/categories/", f"/write/categories/{other.pk}/"):
        response = client.post(address, {"name": name, "slug": "other"})
        assert response.status_code == 422
        assert said in response.text
        assert 'id="id_name_error"' in response.text
    assert names() == ["Notes", "Other"]


@pytest.mark.django_db
def test_two_authors_may_have_one_name(client: Client, author: User) -> None:
    a_category(a_user("bob"))
    assert client.post("/write/categories/", {"name": "Notes"}).status_code == 302


@pytest.mark.django_db
def test_a_new_name_keeps_the_address_and_a_new_address_ends_the_old_one(client: Client, author: User) -> None:
    category = a_category(author)
    address = f"/write/categories/{category.pk}/"
    client.post(address, {"name": "Notebook", "slug": "notes"})
    assert "Notebook" in client.get("/ann/category/notes/").text
    client.post(address, {"name": "Notebook", "slug": "A Book!"})
    assert client.get("/ann/category/a-book/").status_code == 200
    assert client.get("/ann/category/notes/").status_code == 404


@pytest.mark.django_db
def test_an_address_that_another_has_is_told_beside_the_field(client: Client, author: User) -> None:
    a_category(author)
    other = a_category(author, "Other")
    response = client.post(f"/write/categories/{other.pk}/", {"name": "Other", "slug": "Notes"})
    assert response.status_code == 422
    assert 'id="id_slug_error"' in response.text
    other.refresh_from_db()
    assert other.slug == "other"


@pytest.mark.django_db
def test_a_category_is_merged_into_another(client: Client, author: User) -> None:
    source, target = a_category(author), a_category(author, "Other")
    article, trashed = an_article(author, category=source), an_article(author, category=source, status="trashed")
    response = client.post(f"/write/categories/{source.pk}/", {"do": "merge", "into": target.pk}, follow=True)
    assert "2 articles are now in “Other”." in response.text
    assert names() == ["Other"]
    assert set(Article.objects.values_list("pk", "category")) == {(article.pk, target.pk), (trashed.pk, target.pk)}


@pytest.mark.django_db
@pytest.mark.parametrize("into", ["", "x", "9" * 30, "²", "own", "bobs"])
def test_it_is_merged_with_nothing_but_another_of_ones_own(client: Client, author: User, into: str) -> None:
    own, bobs = a_category(author), a_category(a_user("bob"), "Bob's")
    a_category(author, "Other")
    chosen = {"own": own.pk, "bobs": bobs.pk}.get(into, into)
    response = client.post(f"/write/categories/{own.pk}/", {"do": "merge", "into": chosen})
    assert response.status_code == 422
    assert "Choose one of your other categories." in response.text
    assert len(names()) == 3


@pytest.mark.django_db
def test_articles_outlive_their_category(client: Client, author: User) -> None:
    category = a_category(author)
    article = an_article(author, category=category)
    address = f"/write/categories/{category.pk}/delete/"
    assert "Its 1 article stays" in client.get(address).text
    assert names() == ["Notes"]
    client.post(address)
    assert names() == []
    article.refresh_from_db()
    assert (article.category, client.get(article.get_absolute_url()).status_code) == (None, 200)


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["", "delete/"])
def test_nobody_touches_the_categories_of_others(client: Client, author: User, page: str) -> None:
    category = a_category(a_user("bob"))
    User.objects.filter(pk=author.pk).update(is_staff=True)
    address = f"/write/categories/{category.pk}/{page}"
    assert client.get(address).status_code == client.post(address, {"name": "Mine", "slug": "m"}).status_code == 404
    assert names() == ["Notes"]


@pytest.mark.django_db(transaction=True)
def test_two_merges_at_once_lose_no_article() -> None:
    one, other = a_category(), a_category(name="Other")
    for category in (one, other):
        an_article(category=category)

    def run(pair: tuple[Category, Category]) -> bool:
        try:
            merge(*pair)
        except Category.DoesNotExist:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, [(one, other), (other, one)]))
    assert sorted(done) == [False, True]
    assert Article.objects.filter(category__in=Category.objects.all()).count() == 2


@pytest.mark.django_db
def test_whoever_is_quicker_has_the_name(author: User) -> None:
    form = CategoryForm(Category(author=author), {"name": "Notes"})
    assert form.is_valid()
    a_category(author)
    assert not form.save()
    assert "name" in form.errors


@pytest.mark.django_db
def test_the_blog_gets_a_title_and_loses_it(client: Client, author: User) -> None:
    sent = {"title": " 沈知远的\0 笔记 ", "tagline": "On ships"}
    assert client.post("/write/blog/", sent).status_code == 302
    assert Blog.objects.values_list("author", "title", "tagline").get() == (author.pk, "沈知远的 笔记", "On ships")
    assert 'value="On ships"' in client.get("/write/blog/").text
    assert "沈知远的 笔记" in client.get("/ann/").text
    client.post("/write/blog/", {"title": "", "tagline": ""})
    assert not Blog.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("sent", [{"tagline": "On ships"}, {"title": "x" * 101}, {"title": "x", "tagline": "y" * 201}])
def test_a_title_that_cannot_be_is_told(client: Client, author: User, sent: dict[str, str]) -> None:
    response = client.post("/write/blog/", sent)
    assert response.status_code == 422
    assert "_error" in response.text
    assert max(sent.values(), key=len) in response.text
    assert not Blog.objects.exists()


@pytest.mark.django_db
def test_nothing_is_merged_into_a_category_of_another_author() -> None:
    own, foreign = a_category(a_user("ann")), a_category(a_user("bob"))
    article = an_article(a_user("ann"), category=own)
    with pytest.raises(Category.DoesNotExist):
        merge(own, foreign)
    article.refresh_from_db()
    assert article.category == own
