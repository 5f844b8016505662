"""Derived rows of evidence that tools wrote, assisted or reviewed pull requests."""

from django.db import models

from apps.metrics.models.fields import repository_reference, rules_version_field


class DerivedAIEvidence(models.Model):
    """A piece of evidence that a tool wrote a pull request, took part in it, or reviewed it."""

    class Kind(models.TextChoices):
        AUTHORED = "authored"
        ASSISTED = "assisted"
        REVIEWED = "reviewed"

    class Source(models.TextChoices):
        AUTHOR = "author"
        REVIEWER = "reviewer"
        TRAILER = "trailer"
        DESCRIPTION = "description"
        LABEL = "label"
        BRANCH = "branch"

    class Confidence(models.TextChoices):
        HIGH = "high"  # an account, an e-mail or a line that a tool writes
        MEDIUM = "medium"  # a label, or a line that names no tool
        LOW = "low"  # the name of a branch

    repository = repository_reference()
    number = models.IntegerField()
    kind = models.TextField(choices=Kind.choices)
    source = models.TextField(choices=Source.choices)
    value = models.TextField(help_text="what stands there")
    tool = models.TextField()
    confidence = models.TextField(choices=Confidence.choices)
    sha = models.TextField(blank=True, help_text="the first commit that has the trailer")
    detector_version = models.SmallIntegerField()
    rules_version = rules_version_field()

    class Meta:
        verbose_name = "AI evidence"
        verbose_name_plural = "AI evidence"
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "number", "kind", "source", "value"), name="one_row_per_piece_of_evidence"
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} {self.kind}: {self.value}"
