"""The glossary stays true: each word's name in the code exists."""

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

GLOSSARY = (Path(__file__).resolve().parents[2] / "docs" / "glossary.md").read_text()
NAMES = re.findall(r"^\| [^|]+ \| [^|]+ \| `([\w.]+)` \|$", GLOSSARY, re.MULTILINE)
WORDS = re.findall(r"^\| ([^|]+) \| ", GLOSSARY, re.MULTILINE)[1:]


@pytest.mark.parametrize("name", NAMES)
def test_a_word_of_the_glossary_has_the_name_it_says(name: str) -> None:
    assert resolve_name(name) is not None


def test_each_word_of_the_glossary_stands_once_with_a_name() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert len(NAMES) == len(WORDS) >= 30
