"""The GraphQL documents, each in a file of its own; what they share is appended as it is used."""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"
SHARED = "fragments"
_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w*)")
_FRAGMENT = re.compile(r"^fragment (\w+) on [^}]*?\{.*?^\}$", re.MULTILINE | re.DOTALL)


@cache
def document(name: str) -> str:
    """Return the complete document of this name."""
    return completed((FOLDER / f"{name}.graphql").read_text())


def completed(text: str) -> str:
    """Return the text of a document, with the fragments that it uses."""
    known, used = _fragments(), list[str]()
    wanted = _SPREAD.findall(text)
    while wanted:
        fragment = wanted.pop(0)
        if fragment not in used:
            used.append(fragment)
            wanted += _SPREAD.findall(known[fragment])
    return "\n".join([text, *(known[fragment] for fragment in used)])


def names() -> list[str]:
    """Return every document by name."""
    return sorted(file.stem for file in FOLDER.glob("*.graphql") if file.stem != SHARED)


@cache
def _fragments() -> dict[str, str]:
    text = (FOLDER / f"{SHARED}.graphql").read_text()
    return {match[1]: match[0] for match in _FRAGMENT.finditer(text)}
