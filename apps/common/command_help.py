"""What commands share."""

from argparse import RawDescriptionHelpFormatter

from django.core.management.base import DjangoHelpFormatter


class Help(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """A description of a command that keeps the lines of its examples."""
