"""Reading a repository by its id, or by its name where GitHub has no routes by id.

`/repositories/ID/...` is not in GitHub's description of its REST API. GitHub's own `Link` headers and redirects lead
there, so it is asked for first: an id stays when a repository is renamed, and another repository may have its name by
then. Where such a path is not found, the repository is looked up by its name, and read by it if the id is the same.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from apps.activity.models import Repository
from apps.integrations.github.answers import Answer
from apps.integrations.github.client import Request
from apps.integrations.github.verdicts import Kind

BY_ID = re.compile(r"/repositories/(\d+)(/.*|\?.*)?", re.DOTALL)
NAME_HOLDS_S = 60.0
"""A name whose id was compared is used for so long before it is compared again."""

Ask = Callable[[Request], Answer]


@dataclass(slots=True)
class RepositoryRoutes:
    """Which of the two routes this GitHub has, as far as this process has found out."""

    clock: Callable[[], float] = time.monotonic
    has_ids: bool | None = None
    _names: dict[int, tuple[str, float]] = field(default_factory=dict)

    def get(self, request: Request, *, ask: Ask) -> Answer:
        """Ask for a path; by the repository's name where GitHub does not know the path by its id."""
        found = BY_ID.fullmatch(request.path)
        if found is None or self.has_ids:
            return ask(request)
        repository_id, below = int(found[1]), found[2] or ""
        if self.has_ids is None:
            answer = ask(request)
            self.has_ids = True if answer.kind is Kind.OK else None
            if answer.kind is not Kind.GONE or (below and self._shows(repository_id, ask=ask)):
                return answer
        name = self._name_of(repository_id, ask=ask)
        if isinstance(name, Answer):
            return name
        self.has_ids = False
        return ask(replace(request, path=f"/repos/{name}{below}"))

    def _shows(self, repository_id: int, *, ask: Ask) -> bool:
        """Tell whether GitHub shows the repository by its id: then what is below it is not there."""
        self.has_ids = (
            True if ask(Request(method="GET", path=f"/repositories/{repository_id}")).kind is Kind.OK else None
        )
        return bool(self.has_ids)

    def _name_of(self, repository_id: int, *, ask: Ask) -> str | Answer:
        """Return the name under which GitHub shows this very repository, or the answer that says that it does not."""
        known, holds_until = self._names.get(repository_id, ("", 0.0))
        if known and self.clock() < holds_until:
            return known
        name = Repository.objects.filter(pk=repository_id).values_list("full_name", flat=True).first()
        answer = ask(Request(method="GET", path=f"/repos/{name}" if name else f"/repositories/{repository_id}"))
        is_same = isinstance(answer.data, Mapping) and answer.data.get("id") == repository_id
        if name and answer.kind is Kind.OK and is_same:
            self._names[repository_id] = name, self.clock() + NAME_HOLDS_S
            return name
        if answer.kind is not Kind.OK:
            return answer
        gone = replace(answer.verdict, kind=Kind.GONE, message=f"{name} is another repository by now")
        return replace(answer, verdict=gone, data=None, next_path=None)
