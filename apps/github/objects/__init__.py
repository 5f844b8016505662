"""GitHub's objects to facts: a webhook and a REST answer have them in one shape, GraphQL's are brought into it."""
