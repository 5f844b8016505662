"""Rules of deployments: what counts as one, which service it belongs to, and what is production."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from apps.activity.models import Repository
from apps.teams.models import DeploymentRule, DeploymentSource, HotfixRule, ServiceRule

Kind = DeploymentSource.Kind
HOTFIXES = ((HotfixRule.Field.BRANCH, r"^hotfix(\W|_|$)"), (HotfixRule.Field.LABEL, "^hotfix$"))
"""What makes a pull request a hotfix without rules: its branch or a label of it."""

UNCHOSEN = (Kind.DEPLOYMENTS, Kind.REPORTS)
"""What is a deployment where no source was chosen; who reports one chose it thereby."""

PRODUCTION = re.compile(r"(prod|production|live)\b", re.IGNORECASE)
NOT_PRODUCTION = re.compile(r"(pre|non|not|no)\W", re.IGNORECASE)
"""A word before the last dash that turns production into something else, such as `pre-production`."""
LAST_SEPARATOR = re.compile(r".*[/\N{EN DASH}\N{EM DASH}-]", re.DOTALL)


def is_named_production(environment: str) -> bool:
    """Return whether the name says production: at its start, or after its last slash or dash."""
    name = environment.strip()
    if PRODUCTION.match(name):
        return True
    last = LAST_SEPARATOR.match(name)
    return last is not None and not NOT_PRODUCTION.match(name) and bool(PRODUCTION.match(name[last.end() :].strip()))


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules that apply to some repositories; those of each kind are read when they are first needed."""

    repository_ids: frozenset[int]

    @cached_property
    def services(self) -> tuple[ServiceRule, ...]:
        """Return the rules of services, the most specific first."""
        return tuple(sorted(ServiceRule.objects.all(), key=specific_first))

    @cached_property
    def sources(self) -> tuple[DeploymentSource, ...]:
        return tuple(DeploymentSource.objects.all())

    @cached_property
    def hotfixes(self) -> tuple[HotfixRule, ...]:
        return tuple(HotfixRule.objects.all())

    @cached_property
    def owners(self) -> Mapping[int, int | None]:
        return dict(Repository.objects.filter(pk__in=self.repository_ids).values_list("pk", "owner_id"))

    def service_of(self, repository_id: int, names: dict[str, str]) -> str | None:
        """Return the service by the first rule that matches one of the names; None if none does."""
        for rule in self.services:
            if self._applies(rule, repository_id):
                match = re.search(rule.pattern, names.get(rule.field, ""), re.IGNORECASE)
                if match:
                    return match.expand(rule.service)
        return None

    def counts(self, kind: Kind, repository_id: int, *, name: str) -> bool:
        """Return whether something of this kind and name is a deployment of the repository."""
        sources = [source for source in self.sources if self._applies(source, repository_id)]
        if not sources:
            return kind in UNCHOSEN
        return any(source.kind == kind and re.search(source.pattern, name, re.IGNORECASE) for source in sources)

    def is_hotfix(self, repository_id: int, names: Mapping[str, Collection[str]]) -> bool:
        """Return whether the branch, a label or the title of a pull request says that it is a hotfix."""
        rules = [(rule.field, rule.pattern) for rule in self.hotfixes if self._applies(rule, repository_id)]
        return any(
            re.search(pattern, name, re.IGNORECASE) for field, pattern in rules or HOTFIXES for name in names[field]
        )

    def repositories_with(self, kind: Kind) -> set[int]:
        """Return the repositories where something of this kind may be a deployment."""
        return {
            repository_id
            for repository_id in self.repository_ids
            if any(source.kind == kind and self._applies(source, repository_id) for source in self.sources)
        }

    def _applies(self, rule: DeploymentRule, repository_id: int) -> bool:
        return applies(rule, repository_id, owners=self.owners)


def applies(rule: DeploymentRule, repository_id: int, *, owners: Mapping[int, int | None]) -> bool:
    """Return whether the rule is of the repository, of the account that owns it, or of all."""
    if rule.repository_id is not None:
        return rule.repository_id == repository_id
    return rule.account_id is None or rule.account_id == owners.get(repository_id)


def read_rules(repository_ids: Iterable[int]) -> Rules:
    """Return the rules for these repositories."""
    return Rules(repository_ids=frozenset(repository_ids))


def specific_first(rule: DeploymentRule) -> tuple[bool, bool, int]:
    """Return the place of a rule among others: those of repositories first, then those of accounts."""
    return rule.repository_id is None, rule.account_id is None, rule.pk
