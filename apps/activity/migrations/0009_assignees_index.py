from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # the index is built while pull requests arrive

    dependencies = [("activity", "0008_review_and_copy_indexes")]

    operations = [
        AddIndexConcurrently("pullrequest", GinIndex(fields=["assignee_ids"], name="pull_requests_of_an_assignee")),
    ]
