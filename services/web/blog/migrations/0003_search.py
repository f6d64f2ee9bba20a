"""The search index: a table of its own, empty; `release` queues the articles.

Code that does not know the table may go on deleting articles: its foreign key cascades in the database.
"""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

ADD_ARTICLE = """
ALTER TABLE blog_searchentry ADD CONSTRAINT search_entry_of_article
    FOREIGN KEY (article_id) REFERENCES blog_article (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("blog", "0002_composite_foreign_keys"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchEntry",
            fields=[
                (
                    "article",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_entry",
                        serialize=False,
                        to="blog.article",
                    ),
                ),
                ("vector", django.contrib.postgres.search.SearchVectorField()),
                ("text", models.TextField()),
                ("version", models.PositiveIntegerField()),
                ("article_updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "search entry",
                "verbose_name_plural": "search entries",
                "indexes": [django.contrib.postgres.indexes.GinIndex(fields=["vector"], name="search_entry_vector")],
            },
        ),
        migrations.RunSQL(ADD_ARTICLE, "ALTER TABLE blog_searchentry DROP CONSTRAINT search_entry_of_article;"),
    ]
