"""The storage of static files, which `collectstatic` fills."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Static files with a hash of their content in the name, so that browsers can cache them forever.

    The plain name is used if `collectstatic` has not run.
    """

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """Return the file's name with its hash."""
        try:
            return str(super().stored_name(name))
        except ValueError:  # neither in the manifest nor collected
            return name
