"""What becomes of a job after a step. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after each failure: ever longer, and not all at once."""

    first_s: float
    longest_s: float
    growth: float = 2.0
    jitter: float = 0.2

    def wait_s(self, attempts: int, *, chance: float) -> float:
        """Return the seconds to wait after so many failures before this one; `chance` in 0…1 spreads them."""
        wait_s = min(self.first_s * self.growth ** min(attempts, 30), self.longest_s)
        return wait_s * (1 + self.jitter * (2 * chance - 1))
