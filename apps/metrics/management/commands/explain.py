"""The command `explain`: why the instants of a pull request are what they are, as a table or as JSON."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from apps.activity.models import PullRequest
from apps.metrics.explanation.pull_request import as_document, explain
from apps.metrics.figures import Bots, Hours
from apps.metrics.figures.formatting import as_words
from apps.metrics.management.commands.figures import find_team
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

NAMED = re.compile(r"(?P<repository>[^/\s#]+/[^/\s#]+)#(?P<number>\d{1,9})")
MOST_SOURCES = 3
Json = dict[str, Any]


class Command(BaseCommand):
    help = (
        "Explain a pull request: each instant of its life with the rule that chose it, its sources, and the reviews, "
        "commits and deployments that were rejected; and in which figures of a team it counts."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pull_request", metavar="OWNER/REPO#NUMBER", help="like acme/api#42")
        parser.add_argument("--team", help="slug or id: also show in which figures of the team it counts, or why not")
        parser.add_argument("--bots", choices=[str(each) for each in Bots], default="exclude", help="default: exclude")
        parser.add_argument(
            "--hours",
            choices=[str(each) for each in Hours],
            default="wall",
            help="whether durations of figures count all time (default) or the team's working time alone",
        )
        parser.add_argument("--json", action="store_true", help="print JSON; durations are in seconds")

    def handle(self, *args: Any, **options: Any) -> None:
        team = find_team(options["team"]) if options["team"] else None
        found = find_pull_request(options["pull_request"], team=team)
        explanation = explain(found, team=team, bots=Bots(options["bots"]), hours=Hours(options["hours"]))
        if explanation is None:
            raise CommandError(f"Nothing but its number is known of {options['pull_request']} yet.", returncode=2)
        document = as_document(explanation)
        if options["json"]:
            self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder))
        else:
            for line in lines(document):
                self.stdout.write(line)


def find_pull_request(name: str, *, team: Team | None) -> PullRequest:
    """Return the pull request of that name, in a repository of the team if one is given."""
    match = NAMED.fullmatch(name)
    if match is None:
        raise CommandError(f"{name!r} is no pull request. Name one like acme/api#42.", returncode=2)
    rows = PullRequest.objects.filter(repository__full_name__iexact=match["repository"], number=int(match["number"]))
    if team is not None:
        rows = rows.filter(repository__in=repositories_of(Team.objects.filter(pk=team.pk)))
    found = rows.select_related("repository").order_by("-repository__github_id").first()
    if found is None:
        where = f" in the repositories of {team.slug}" if team else ""
        raise CommandError(f"There is no pull request {name}{where}.", returncode=2)
    return found


def lines(document: Json) -> Iterator[str]:
    """Yield the lines of the table."""
    flags = ", ".join(document["flags"]) or "none"
    yield f"{document['repository']}#{document['number']} {document['title']}".rstrip()
    yield f"by {document['account'] or 'an unknown account'} ({document['account_class']}), flags: {flags}"
    for each in document["evidence"]:
        found = f"{each['kind']} with {each['tool']}, {each['confidence']} confidence"
        yield f"AI evidence: {found}, by its {each['source']}: {each['value']}"
    if document["is_recalculating"]:
        yield "Changes wait to be recalculated: figures may not show all of this yet."
    for boundary in document["boundaries"]:
        yield from lines_of(boundary, title=boundary["boundary"].replace("_", " "))
    yield f"stages: {stages_in_words(document['stages'])}"
    for shipping in document["deployments"]:
        what = " of ".join(part for part in (shipping["environment"], shipping["service"]) if part)
        yield from lines_of(shipping, title=f"deployed to {what}")
        if shipping["stages"]:
            lead = as_words(shipping["lead_seconds"], unit="seconds")
            yield f"  stages: {stages_in_words(shipping['stages'])}; lead time {lead}"
    yield from lines_of_history(document)
    yield from lines_of_figures(document)


def lines_of(boundary: Json, *, title: str) -> Iterator[str]:
    yield f"{title}: {boundary['at'] or 'none'}"
    yield f"  {boundary['rule']}"
    for source in boundary["sources"][:MOST_SOURCES]:
        name = f"delivery {source['guid']}" if source["guid"] else f"{source['source']} {source['source_key']}"
        received = f", received {source['received_at']}" if source["received_at"] else ""
        yield f"  from {name} ({source['entity']}{received})"
    if len(boundary["sources"]) > MOST_SOURCES:
        yield f"  and {len(boundary['sources']) - MOST_SOURCES} more sources"
    for each in boundary["candidates"]:
        if not each["is_chosen"]:
            yield f"  not {what_and_when(each)}: {each['explanation']}"


def what_and_when(candidate: Json) -> str:
    name, at = candidate["name"], candidate["at"] or "an unknown time"
    what = name if name.startswith(candidate["kind"]) else f"{candidate['kind']} {name}"
    return f"{what} by {candidate['account']} at {at}" if candidate["account"] else f"{what} at {at}"


def lines_of_history(document: Json) -> Iterator[str]:
    yield "history:"
    for each in document["history"]:
        words = [each["kind"].replace("_", " "), f"by {each['account']}" if each["account"] else "", each["detail"]]
        yield f"  {each['at']}  {' '.join(filter(None, words))}"
    for each in document["review_requests"]:
        took = "no answer" if each["answered_at"] is None else as_words(each["answer_seconds"], unit="seconds")
        yield f"  review requested of {each['reviewer']} at {each['requested_at']}: {took}"
    for each in document["runs"]:
        what = f"{each['workflow'] or 'run'} {each['run_id']}, attempt {each['attempt']}, on {each['sha'][:7]}"
        yield f"  {what}: {each['conclusion'] or 'running'}"


def lines_of_figures(document: Json) -> Iterator[str]:
    if document["figures"] is None:
        yield "--team shows in which figures it counts."
        return
    yield f"figures of {document['team']}:"
    for each in document["figures"]:
        if each["counts"]:
            value = "" if each["value"] is None else f", {as_words(each['value'], unit=each['unit'])}"
            yield f"  {each['title']:<28} counts, {each['at']}{value}"
        else:
            yield f"  {each['title']:<28} {each['reason']}: {each['explanation']}"


def stages_in_words(stages: Json) -> str:
    return ", ".join(f"{name} {as_words(seconds, unit='seconds')}" for name, seconds in stages.items())
