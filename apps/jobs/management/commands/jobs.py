"""The command `jobs`: what runs, what waits, what failed, and the changes that people make."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from apps.common.command_help import Help
from apps.jobs.api import JobSerializer
from apps.jobs.changes import CHANGES, JobsBusyError
from apps.jobs.models import Job
from apps.jobs.registry import kinds
from apps.jobs.status import status_of, title_of, with_subjects

USAGE = 2
MOST_LISTED = 60
EXAMPLES = """\
examples:
  manage.py jobs                          what runs, waits, is paused or failed
  manage.py jobs --failed                 what failed, why, and what to do
  manage.py jobs --kind read_stream --json
  manage.py jobs retry 12                 let job 12 go on where it failed
  manage.py jobs pause 12 13              until `resume 12 13`

Exit code: 0 done, 1 a job is in no state for that, or others change it, 2 usage."""


class Command(BaseCommand):
    help = """\
Show the durable work that is not done: what runs, what waits for what and until
when, what failed and what to do. Or pause, resume, cancel or retry jobs."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, formatter_class=Help, epilog=EXAMPLES, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("change", nargs="?", choices=list(CHANGES), help="what to do with the jobs; else list them")
        parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="ids of jobs, as the list shows them")
        parser.add_argument("--failed", action="store_true", help="list only what failed and was not started anew")
        parser.add_argument("--kind", choices=[kind.name for kind in kinds()], help="list only jobs of this kind")
        parser.add_argument("--json", action="store_true", help="the list for machines, as the API shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["change"] is None:
            self._list(options)
            return
        if not options["ids"] or options["failed"] or options["kind"] or options["json"]:
            raise CommandError("A change takes the ids of jobs and nothing else: jobs retry 12.", returncode=USAGE)
        self._change(options["change"], sorted(set(options["ids"])))

    def _list(self, options: dict[str, Any]) -> None:
        found = Job.objects.failures() if options["failed"] else Job.objects.open_or_failed()
        if options["kind"]:
            found = found.filter(kind=options["kind"])
        jobs = with_subjects(found)
        if options["json"]:
            self.stdout.write(json.dumps(JobSerializer(jobs, many=True).data, cls=DjangoJSONEncoder))
            return
        shown = list(jobs[: MOST_LISTED + 1])
        for job in shown[:MOST_LISTED]:
            self._show(job)
        if not shown:
            self.stdout.write("No job failed." if options["failed"] else "No job is running, waiting or failed.")
        elif len(shown) > MOST_LISTED:
            self.stdout.write(f"… and {found.count() - MOST_LISTED:,} more: narrow the list, or see --json.")

    def _show(self, job: Any) -> None:
        status = status_of(job, now=timezone.now())
        percent = "" if status.percent is None else f", {status.percent}%"
        read = f" ({job.items:,} read{percent})" if job.items else ""
        self.stdout.write(f"{job.pk:>8}  {job.state:<8} {title_of(job)}{read}")
        until = f"until {status.waits_until:%Y-%m-%d %H:%M:%S} UTC" if status.waits_until else ""
        for line in (until, status.why, job.error and f"“{job.error}”", status.advice):
            if line:
                self.stdout.write(f"{'':>10}{line}")

    def _change(self, name: str, ids: list[int]) -> None:
        change = CHANGES[name]
        known = Job.objects.filter(pk__in=ids)
        if unknown := sorted(set(ids) - set(known.values_list("pk", flat=True))):
            raise CommandError(f"There is no job {', '.join(map(str, unknown))}.", returncode=USAGE)
        try:
            changed = change.apply(known)
        except JobsBusyError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{changed} of {len(ids)} {'job' if len(ids) == 1 else 'jobs'} {change.done}.")
        if changed < len(ids):
            raise CommandError(change.refusal if len(ids) == 1 else f"The others cannot be {change.done}.")
