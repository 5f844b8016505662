#!/usr/bin/env python
"""Django's command line for tformance."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tformance.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415  the settings module comes first
        from django.db import OperationalError  # noqa: PLC0415

        from tformance.environment import go_on_without_mistaken_settings, settings_errors_in_one_line  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}. Use `.venv/bin/python manage.py …`; `make run` makes .venv.")

    try:
        with settings_errors_in_one_line():
            if sys.argv[1:2] == ["doctor"]:  # it looks at what can be looked at
                go_on_without_mistaken_settings()
            execute_from_command_line(sys.argv)
    except OperationalError as error:
        if "--traceback" in sys.argv:
            raise
        reason = str(error).strip().splitlines()[0]
        sys.exit(f"error: the database does not answer ({reason}). Is it running? `make run` starts the embedded one.")


if __name__ == "__main__":
    main()
