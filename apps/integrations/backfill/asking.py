"""What `manage.py backfill` may be asked."""

from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from datetime import UTC, datetime, timedelta

from django.core.management.base import CommandParser, DjangoHelpFormatter
from django.utils import timezone

from apps.integrations.models import Backfill

STREAMS = tuple(Backfill.Stream.values)
EXAMPLES = f"""\
examples:
  manage.py backfill acme/api --since 90d --wait    the last 90 days, and watch
  manage.py backfill --installation 7 --dry-run     what would it take?
  manage.py backfill --all --streams pull_requests  whatever we reach
  manage.py backfill --list                         how it stands
  manage.py backfill --pause acme/api               until --resume acme/api

streams: {", ".join(STREAMS[:4])},
         {", ".join(STREAMS[4:])}

Exit code: 0 done, 1 something failed or cannot be done, 2 usage,
130 interrupted while watching."""


def moment(text: str) -> datetime:
    """A day, a time, or so many days ago; UTC unless it says otherwise."""
    if text[-1:] == "d" and text[:-1].isdecimal():
        return timezone.now() - timedelta(days=int(text[:-1]))
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r} is no day like 2026-03-02, no time, and no number of days like 90d"
        ) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def streams(text: str) -> tuple[str, ...]:
    named = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in named if name not in STREAMS]
    if unknown or not named:
        raise ArgumentTypeError(f"there is no stream {', '.join(unknown) or text!r}; there are {', '.join(STREAMS)}")
    return named


def full_name(text: str) -> str:
    owner, slash, name = text.strip().partition("/")
    if not owner or not slash or not name or "/" in name:
        raise ArgumentTypeError(f"{text!r} is not OWNER/REPO")
    return text.strip()


class Help(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the examples as they are."""


def add_arguments(parser: CommandParser) -> None:
    """Which repositories, what of them, and what to do instead of starting."""
    which = parser.add_argument_group("which repositories (any of these together)")
    which.add_argument("full_names", nargs="*", type=full_name, metavar="OWNER/REPO")
    which.add_argument("--installation", type=int, metavar="ID", help="all that the installation reaches")
    which.add_argument("--team", metavar="SLUG", help="all that the team tracks")
    which.add_argument("--all", action="store_true", help="all that any installation reaches")
    what = parser.add_argument_group("what of them")
    what.add_argument(
        "--since", type=moment, metavar="WHEN", help="what was updated since: 2026-03-02, 90d (ago), a time"
    )
    what.add_argument("--until", type=moment, metavar="WHEN", help="nothing that was created later")
    what.add_argument("--streams", type=streams, default=None, metavar="A,B", help="only these streams")
    what.add_argument("--wait", action="store_true", help="watch until all of it is done; Ctrl-C only stops watching")
    instead = parser.add_argument_group("instead of a start").add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="ask GitHub how much there is, and say what it takes")
    instead.add_argument("--list", action="store_true", help="show how the walks stand")
    instead.add_argument("--pause", action="store_true", help="stop walks where they are")
    instead.add_argument("--resume", action="store_true", help="go on with paused walks")
    instead.add_argument("--cancel", action="store_true", help="end walks for good; what was read stays")
    instead.add_argument("--retry", action="store_true", help="let failed walks go on where they stopped")
    parser.add_argument("--json", action="store_true", help="with --list: for machines")
