"""Pictures and their uses.

Code that does not know the tables may go on deleting what they refer to: their foreign keys cascade in the database.
"""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

CASCADES = """
ALTER TABLE uploads_picture ADD CONSTRAINT picture_of_user
    FOREIGN KEY (owner_id) REFERENCES accounts_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE uploads_use ADD CONSTRAINT picture_use_of_picture
    FOREIGN KEY (picture_id) REFERENCES uploads_picture (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE uploads_use ADD CONSTRAINT picture_use_of_article
    FOREIGN KEY (article_id) REFERENCES blog_article (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
ALTER TABLE uploads_use ADD CONSTRAINT picture_use_of_autosave
    FOREIGN KEY (autosave_id) REFERENCES blog_autosave (id) ON DELETE CASCADE DEFERRABLE INITIALLY IMMEDIATE;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("blog", "0005_cover_ready"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Picture",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(editable=False, max_length=100, unique=True, verbose_name="file")),
                (
                    "label",
                    models.CharField(
                        blank=True, editable=False, max_length=100, verbose_name="name of the uploaded file"
                    ),
                ),
                ("alt", models.CharField(blank=True, max_length=300, verbose_name="description")),
                ("width", models.PositiveIntegerField(editable=False)),
                ("height", models.PositiveIntegerField(editable=False)),
                ("bytes", models.PositiveIntegerField(editable=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="uploaded at"),
                ),
                ("unused_since", models.DateTimeField(default=django.utils.timezone.now, editable=False, null=True)),
                ("ready", models.BooleanField(db_default=False, default=False, editable=False)),
                ("announced", models.BooleanField(db_default=False, default=False, editable=False)),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)),
                ("queued_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        db_constraint=False,
                        related_name="pictures",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={
                "verbose_name": "picture",
                "verbose_name_plural": "pictures",
            },
        ),
        migrations.CreateModel(
            name="Use",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("text", "text"), ("cover", "cover"), ("unsaved", "unsaved text")], max_length=10
                    ),
                ),
                (
                    "article",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        db_constraint=False,
                        related_name="picture_uses",
                        to="blog.article",
                    ),
                ),
                (
                    "autosave",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        db_constraint=False,
                        related_name="picture_uses",
                        to="blog.autosave",
                    ),
                ),
                (
                    "picture",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        db_constraint=False,
                        related_name="uses",
                        to="uploads.picture",
                    ),
                ),
            ],
            options={
                "verbose_name": "use of a picture",
                "verbose_name_plural": "uses of pictures",
            },
        ),
        migrations.AddIndex(
            model_name="picture",
            index=models.Index(
                models.F("owner"), models.OrderBy(models.F("id"), descending=True), name="picture_of_owner"
            ),
        ),
        migrations.AddIndex(
            model_name="picture",
            index=models.Index(
                models.F("unused_since"), condition=models.Q(("unused_since__isnull", False)), name="picture_unused"
            ),
        ),
        migrations.AddIndex(
            model_name="picture",
            index=models.Index(
                models.F("queued_at"), condition=models.Q(("announced", False)), name="picture_unannounced"
            ),
        ),
        migrations.AddConstraint(
            model_name="use",
            constraint=models.UniqueConstraint(
                fields=("picture", "article", "autosave", "role"), name="picture_use_once", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="use",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("article", None), ("autosave__isnull", False), ("role", "unsaved")),
                    models.Q(("article__isnull", False), ("autosave", None), ("role__in", ["text", "cover"])),
                    _connector="OR",
                ),
                name="picture_use_of_one",
            ),
        ),
        migrations.RunSQL(CASCADES, migrations.RunSQL.noop),
    ]
