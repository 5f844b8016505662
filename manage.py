#!/usr/bin/env python
"""Django's command line for tformance."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415  the settings module comes first

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
