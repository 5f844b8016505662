from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while facts are recorded

    dependencies = [("activity", "0007_incidents")]

    operations = [
        AddIndexConcurrently(
            "commit",
            models.Index(fields=["repository", "authored_at"], name="commit_by_author_date"),
        ),
        AddIndexConcurrently(
            "pullrequestcommit",
            models.Index(
                condition=models.Q(("committed_at__gt", models.F("authored_at"))),
                fields=["repository", "authored_at"],
                name="listed_copies_by_author_date",
            ),
        ),
        AddIndexConcurrently(
            "pullrequestevent",
            models.Index(
                condition=models.Q(("kind", "review_requested")),
                fields=["subject"],
                name="review_requests_of_an_account",
            ),
        ),
    ]
