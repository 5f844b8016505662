"""Events of no GitHub's, whose translators do to a worker what the worst payload could do."""
