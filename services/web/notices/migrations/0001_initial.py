"""Notifications, and who does not want which.

Code that does not know the tables may go on deleting accounts and comments: their foreign keys cascade in the database.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

ADD_TIES = """
ALTER TABLE notices_notice
    ADD CONSTRAINT notice_recipient FOREIGN KEY (recipient_id) REFERENCES accounts_user (id)
        ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE,
    ADD CONSTRAINT notice_comment FOREIGN KEY (comment_id) REFERENCES blog_comment (id)
        ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE notices_optout
    ADD CONSTRAINT optout_user FOREIGN KEY (user_id) REFERENCES accounts_user (id)
        ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""
DROP_TIES = """
ALTER TABLE notices_notice DROP CONSTRAINT notice_recipient, DROP CONSTRAINT notice_comment;
ALTER TABLE notices_optout DROP CONSTRAINT optout_user;
"""
KINDS = [
    ("comment", "a comment on an article of mine"),
    ("reply", "an answer to a comment of mine"),
    ("approved", "a comment of mine was approved"),
]


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("blog", "0006_comments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                ("in_site", models.BooleanField(db_default=True, default=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("read_at", models.DateTimeField(blank=True, null=True)),
                (
                    "comment",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to="blog.comment",
                    ),
                ),
                (
                    "recipient",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "ordering": ("-pk",),
                "indexes": [
                    models.Index(
                        models.F("recipient"), models.OrderBy(models.F("id"), descending=True), name="notice_newest"
                    ),
                    models.Index(
                        models.F("recipient"),
                        condition=models.Q(("in_site", True), ("read_at__isnull", True)),
                        name="notice_unread",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("recipient", "kind", "comment"), name="notice_once"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["comment", "reply", "approved"])), name="notice_kind_known"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OptOut",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                ("channel", models.CharField(choices=[("mail", "by mail"), ("site", "on the site")], max_length=4)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="optouts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "notification not wanted",
                "verbose_name_plural": "notifications not wanted",
                "constraints": [
                    models.UniqueConstraint(fields=("user", "kind", "channel"), name="optout_once"),
                ],
            },
        ),
        migrations.RunSQL(ADD_TIES, DROP_TIES),
    ]
