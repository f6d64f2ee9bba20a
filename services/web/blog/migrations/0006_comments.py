"""Threads, forms that are sent once, and blocked readers.

Code that does not know the table of blocks may go on deleting accounts: its foreign keys cascade in the database.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

FIND_THREADS = """
WITH RECURSIVE found (id, thread) AS (
    SELECT id, floor FROM blog_comment WHERE parent_id IS NULL
    UNION ALL
    SELECT reply.id, found.thread FROM blog_comment reply JOIN found ON reply.parent_id = found.id
)
UPDATE blog_comment SET thread = found.thread FROM found WHERE found.id = blog_comment.id;
"""
ADD_PEOPLE = """
ALTER TABLE blog_block
    ADD CONSTRAINT block_author FOREIGN KEY (author_id) REFERENCES accounts_user (id)
        ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE,
    ADD CONSTRAINT block_reader FOREIGN KEY (reader_id) REFERENCES accounts_user (id)
        ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""
DROP_PEOPLE = "ALTER TABLE blog_block DROP CONSTRAINT block_author, DROP CONSTRAINT block_reader;"


class Migration(migrations.Migration):
    dependencies = [
        ("blog", "0005_cover_ready"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="comment",
            name="thread",
            field=models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="comment",
            name="form_key",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddConstraint(
            model_name="comment",
            constraint=models.UniqueConstraint(fields=("author", "form_key"), name="comment_form_sent_once"),
        ),
        migrations.CreateModel(
            name="Block",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "author",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blocks",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reader",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blocked_by",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "blocked reader",
                "verbose_name_plural": "blocked readers",
                "ordering": ("-pk",),
                "constraints": [
                    models.UniqueConstraint(fields=("author", "reader"), name="block_once"),
                    models.CheckConstraint(
                        condition=models.Q(("author", models.F("reader")), _negated=True), name="block_somebody_else"
                    ),
                ],
            },
        ),
        migrations.RunSQL(ADD_PEOPLE, DROP_PEOPLE),
        migrations.RunSQL(FIND_THREADS, migrations.RunSQL.noop),
    ]
