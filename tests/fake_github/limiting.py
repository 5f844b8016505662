"""Primary limits: so many points an hour for each installation and resource."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fake_github.faults import Answered

WINDOW_S = 3600.0


@dataclass(slots=True)
class Window:
    """What one payer has spent of one resource until the reset."""

    limit: int
    used: int
    resets_at: float

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(slots=True)
class Limits:
    """Every payer's windows; a limit of None is an Enterprise Server's that has none."""

    clock: Callable[[], float]
    limit: int | None = 5000
    _windows: dict[tuple[int, str], Window] = field(default_factory=dict)

    def window(self, payer: int, resource: str) -> Window | None:
        if self.limit is None:
            return None
        found = self._windows.get((payer, resource))
        if found is None or found.resets_at <= self.clock():
            found = self._windows[payer, resource] = Window(self.limit, 0, self.clock() + WINDOW_S)
        return found

    def spend(self, payer: int, resource: str, *, cost: int) -> bool:
        """Whether there was enough left; a request that is refused costs nothing."""
        window = self.window(payer, resource)
        if window is None:
            return True
        if window.remaining < cost:
            window.used = window.limit
            return False
        window.used += cost
        return True

    def leave(self, payer: int, resource: str, *, remaining: int, resets_in_s: float = WINDOW_S) -> None:
        """Let somebody else have spent all but this."""
        window = self.window(payer, resource)
        assert window is not None
        window.used, window.resets_at = window.limit - remaining, self.clock() + resets_in_s

    def shown(self, payer: int) -> Answered:
        """All windows, as `GET /rate_limit` shows them; asking costs nothing."""
        if self.limit is None:
            return Answered(404, {"message": "Rate limiting is not enabled."})
        found = {resource: self.window(payer, resource) for resource in ("core", "graphql")}
        resources = {
            resource: {
                "limit": window.limit,
                "used": min(window.used, window.limit),
                "remaining": window.remaining,
                "reset": int(window.resets_at),
            }
            for resource, window in found.items()
            if window is not None
        }
        return Answered(200, {"resources": resources, "rate": resources["core"]})

    def headers(self, payer: int, resource: str) -> dict[str, str]:
        window = self.window(payer, resource)
        if window is None:
            return {}
        return {
            "x-ratelimit-limit": str(window.limit),
            "x-ratelimit-remaining": str(window.remaining),
            "x-ratelimit-used": str(min(window.used, window.limit)),
            "x-ratelimit-reset": str(int(window.resets_at)),
            "x-ratelimit-resource": resource,
        }
