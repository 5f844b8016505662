"""The pages' cast is the API's."""

from tests.api.conftest import cast, every_walk, fresh_throttles, week

__all__ = ["cast", "every_walk", "fresh_throttles", "week"]
