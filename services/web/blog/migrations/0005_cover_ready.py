from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("blog", "0004_writing"),
    ]

    operations = [
        migrations.AddField(
            model_name="article",
            name="cover_ready",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
