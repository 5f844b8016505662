"""What webhooks leave out of pull requests, above all their commits: asked for soon after, many in one request."""
