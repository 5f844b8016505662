"""The pages' cast is the API's."""

from tests.api.conftest import cast, fresh_throttles, jobs, many_jobs, week

__all__ = ["cast", "fresh_throttles", "jobs", "many_jobs", "week"]
