#!/usr/bin/env python
"""Django's command line for tformance."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415  the settings module comes first

    from tformance.environment import SettingsError  # noqa: PLC0415

    try:
        execute_from_command_line(sys.argv)
    except SettingsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
