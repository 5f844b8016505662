"""Translators of events to facts, a module for each family. Every module here is imported when Django starts."""
