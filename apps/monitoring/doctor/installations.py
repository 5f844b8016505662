"""The App on accounts: what GitHub says of each installation, beside what we know, and what is left of its limits."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps.activity.models import Contributor, Installation
from apps.github.answers import Answer
from apps.github.auth import GitHubAccess
from apps.github.credentials import has_credentials
from apps.github.permissions import lack_of
from apps.github.responses import Kind
from apps.integrations.access import readable_installations
from apps.integrations.missing_permissions import settings_page
from apps.monitoring.doctor.asking import PURPOSE, ask_as_app, why_not
from apps.monitoring.doctor.checks import Check, Stopped, unchecked, warning, well, wrong
from apps.monitoring.doctor.senders import look_at_senders

NAMES = ("installations", "rate limits", "senders")
SHOWN = 3
ASKED, ASKED_FOR_S = 5, 6.0
LITTLE_SHARE = 0.1


def examine_installations(access: GitHubAccess) -> Iterator[Check]:
    """All installations in one request, and the limits of a few; never those of an account that waits for approval."""
    if not has_credentials():
        raise Stopped("There are no credentials to ask GitHub with.")
    answer = ask_as_app(access, "/app/installations", per_page=100).answer
    if answer.kind is not Kind.OK or not isinstance(answer.data, list):
        raise Stopped(why_not(answer))
    described = [one for one in answer.data if isinstance(one, Mapping)]
    yield judge_installations(described, is_all=answer.next_path is None)
    yield look_at_limits(access)
    yield look_at_senders(access)


def judge_installations(described: Sequence[Mapping[str, Any]], *, is_all: bool = True) -> Check:
    """What each of them lacks; how many wait for somebody."""
    name = "installations"
    if not described:
        return warning(name, "The App is installed nowhere.", "Install it on an account: its page at GitHub.")
    readable = set(readable_installations().values_list("pk", flat=True))
    known = set(Installation.objects.filter(deleted_at=None).values_list("pk", flat=True))
    active = [one for one in described if not one.get("suspended_at")]
    waiting = [one for one in active if one.get("id") in known - readable]
    counts = {
        "suspended": len(described) - len(active),
        "waiting for approval": len(waiting),
        "not known here yet": sum(one.get("id") not in known for one in active),
    }
    others = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    found = f"{len(described)}{'' if is_all else ' or more'}{f' ({others})' if others else ''}."
    lacks = [words for one in active if one not in waiting and (words := what_it_lacks(one))]
    if lacks:
        more = f" … and {len(lacks) - SHOWN} more." if len(lacks) > SHOWN else ""
        advice = f"An owner of the account accepts the new permissions there.{more}"
        return wrong(name, f"{found} {' '.join(lacks[:SHOWN])}", advice)
    if waiting:
        return warning(name, found, "Approve its team in the admin, or leave it: nothing of it is fetched.")
    return well(name, f"{found} Each gave all permissions.")


def what_it_lacks(described: Mapping[str, Any]) -> str:
    account = described.get("account") or {}
    is_person = str(account.get("type", "")).lower() == Contributor.Kind.USER
    lack = lack_of(described.get("permissions") or {}, described.get("events") or (), is_person=is_person)
    if not lack:
        return ""
    login = str(account.get("login", ""))
    page = settings_page(login, installation_id=int(described.get("id") or 0), is_person=is_person)
    return f"On {login} it lacks {lack}: {page}"


def look_at_limits(access: GitHubAccess) -> Check:
    """What is left of the hourly limits; asking costs none of them, and shows that a token is given."""
    name, give_up_at_s = "rate limits", time.monotonic() + ASKED_FOR_S
    chosen = list(readable_installations().select_related("account").order_by("pk")[:ASKED])
    if not chosen:
        return unchecked(name, "No installation may be asked yet.")
    words, is_short = [], False
    for installation in chosen:
        if time.monotonic() > give_up_at_s:
            break
        answer = access.get("/rate_limit", installation_id=installation.pk, purpose=PURPOSE)
        if answer.kind not in {Kind.OK, Kind.GONE}:
            return refused(name, installation, answer)
        left = shares_left(answer)
        is_short = is_short or any(share < LITTLE_SHARE for _, share in left.values())
        shown = ", ".join(f"{resource} {remaining:,}" for resource, (remaining, _) in left.items())
        words.append(f"{installation.account}: {shown or 'without limits'}")
    found = f"Left this hour: {'; '.join(words)}."
    if is_short:
        return warning(name, found, "Reading waits for the reset by itself; another program may spend them too.")
    return well(name, found)


def refused(name: str, installation: Installation, answer: Answer) -> Check:
    """No token, or no answer for it: nothing of this account can be read."""
    if answer.kind is Kind.AUTH or answer.kind is Kind.FORBIDDEN:
        return wrong(
            name,
            f"GitHub gives us nothing for {installation.account}: {answer.verdict.message}",
            "See whether the App is still installed there, and not suspended; it is listed again by itself.",
        )
    return unchecked(name, why_not(answer))


def shares_left(answer: Answer) -> dict[str, tuple[int, float]]:
    """What is left by resource, as a number and as a share; nothing where nothing limits us."""
    document = answer.data if isinstance(answer.data, Mapping) else {}
    resources = document.get("resources") or {}
    found = {}
    for resource in ("core", "graphql"):
        told = resources.get(resource) or {}
        limit, remaining = told.get("limit"), told.get("remaining")
        if isinstance(limit, int) and isinstance(remaining, int) and limit > 0:
            found[resource] = (remaining, remaining / limit)
    return found
