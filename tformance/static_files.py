"""Static files under names that carry their content's hash, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Falls back to the plain name where `collectstatic` has not run: tests, and a command before the first start."""

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """The file's name with its hash."""
        try:
            return str(super().stored_name(name))
        except ValueError:  # neither in the manifest nor collected
            return name
