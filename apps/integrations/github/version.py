"""The version of everything that turns GitHub's answers into facts."""

TRANSLATOR_VERSION = 1
"""Part of every snapshot's stamp. Raise it when a translator is mended: a replay then outweighs what it wrote."""
