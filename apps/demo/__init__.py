"""Sample deliveries of GitHub's real shape, from scenarios: planned events of repositories in the order of their times.

The demo and the tests use them; nothing of the product imports this app. Tests compare the shapes with GitHub's
published models.
"""
