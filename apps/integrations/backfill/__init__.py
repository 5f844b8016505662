"""GitHub's history through the same facts: checkpointed page by page, inside the rate limits, safe to kill anywhere."""
