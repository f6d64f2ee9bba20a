"""Foreign keys over two columns, which Django cannot declare: the tie names the owner too, so it cannot cross owners.

`ON DELETE SET NULL (column)` clears the one column and leaves the owner's alone (PostgreSQL 15).
"""

from django.db import migrations

ADD_CATEGORY = """
ALTER TABLE blog_article ADD CONSTRAINT article_category_of_author
    FOREIGN KEY (category_id, author_id) REFERENCES blog_category (id, author_id)
    ON DELETE SET NULL (category_id) DEFERRABLE INITIALLY IMMEDIATE;
"""
ADD_PARENT = """
ALTER TABLE blog_comment ADD CONSTRAINT comment_parent_on_article
    FOREIGN KEY (parent_id, article_id) REFERENCES blog_comment (id, article_id)
    ON DELETE SET NULL (parent_id) DEFERRABLE INITIALLY IMMEDIATE;
"""


class Migration(migrations.Migration):
    dependencies = [("blog", "0001_initial")]
    operations = [
        migrations.RunSQL(ADD_CATEGORY, "ALTER TABLE blog_article DROP CONSTRAINT article_category_of_author;"),
        migrations.RunSQL(ADD_PARENT, "ALTER TABLE blog_comment DROP CONSTRAINT comment_parent_on_article;"),
    ]
