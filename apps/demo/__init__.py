"""Sample deliveries of GitHub's real shape, and a small language to write the life of a repository in.

The demo tells a story with it, tests write their cases in it; nothing of the product itself reads it. Tests hold the
shapes against GitHub's published models.
"""
