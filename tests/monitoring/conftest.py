"""The cast: GitHub, and somebody who reads it."""

from tests.integrations.conftest import clock, fake, worker

__all__ = ["clock", "fake", "worker"]
