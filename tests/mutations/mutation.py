"""A mutation: a safety, the changes that take it out of the code, and the test that must then fail.

A change names the definition that holds the safety and a fragment of it. Files may move, and code may be formatted
anew: the name is looked for in the whole tree, and the fragment is compared word by word, whatever the line breaks,
the indentation, the comments and the kind of quotes.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

_WORD = re.compile(r'"""|\'\'\'|\w+|[^\w\s]')
_QUOTES = {"'", "'''", '"""'}
_CLOSING = {")", "]", "}"}
_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


class NotFoundOnceError(ValueError):
    """What a mutation names is not there exactly once."""


@dataclass(frozen=True, slots=True)
class Change:
    """A fragment of a definition, and what is put in its place.

    The target is the qualified name of a function, a class or a constant: "DeliveryQuerySet.finish". Where several in
    the tree have the name, their app or module stands before it: "webhooks: claim". A target with a slash is the end
    of a file's path, for what is not Python or stands in no definition: "lua/take.lua".
    """

    target: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A safety, the changes that remove it, and the test that shows that it is gone."""

    safety: str
    changes: tuple[Change, ...]
    test: str
    hangs: bool = False
    """Without the safety the test waits forever: its timeout is how it fails."""

    def changed_files(self, tree: Path) -> dict[str, str]:
        """Return the files of the tree that the changes touch, by path, with their new text."""
        places = [(_find(tree, change), change.new) for change in self.changes]
        files = {place.path: (tree / place.path).read_text() for place, _ in places}
        for place, new in sorted(places, key=lambda one: one[0].start, reverse=True):
            text = files[place.path]
            line = text[text.rfind("\n", 0, place.start) + 1 : place.start]
            indentation = line[: len(line) - len(line.lstrip())]
            files[place.path] = text[: place.start] + new.replace("\n", f"\n{indentation}") + text[place.end :]
        return files

    def test_id(self, tree: Path) -> str:
        """Return what pytest calls the test: its path and its name."""
        name, bracket, parameters = self.test.partition("[")
        where, name = _split(name)
        paths = [path for path in _tests(tree).get(name, ()) if where in _dotted(path)]
        if len(paths) != 1:
            raise NotFoundOnceError(f"{self.test} is the name of {len(paths)} tests, not of one.")
        return f"{paths[0]}::{name}{bracket}{parameters}"


def read(file: Path) -> Iterator[Mutation]:
    """Yield the mutations of a file, between which stand blank lines.

    First comes the safety. Each change has its target after "in", the fragment after "-", and after "+" what is put in
    its place, if anything. Last comes the test, after "fails", or after "hangs" where it then waits forever.
    """
    for block in file.read_text().rstrip().split("\n\n"):
        *lines, ending = block.splitlines()
        safety, *changes = "\n".join(lines).split("\n  in ")
        word, test = ending.split(maxsplit=1)
        yield Mutation(safety, tuple(_change(text) for text in changes), test, hangs=word == "hangs")


def _change(text: str) -> Change:
    target, *lines = text.splitlines()
    old, new = ("\n".join(line[4:] for line in lines if line.startswith(f"  {sign} ")) for sign in "-+")
    return Change(target, old, new)


class _Place(NamedTuple):
    """A part of a file, in characters."""

    path: str
    start: int
    end: int


def _find(tree: Path, change: Change) -> _Place:
    found = [place for within in _targets(tree, change.target) for place in _occurrences(tree, within, change.old)]
    if len(found) != 1:
        raise NotFoundOnceError(f"{change.target} holds {len(found)} times {change.old!r}, not once.")
    return found[0]


def _targets(tree: Path, target: str) -> list[_Place]:
    if "/" in target:
        paths = [path for path in _files(tree) if f"/{path}".endswith(f"/{target.lstrip('/')}")]
        return [_Place(path, 0, len((tree / path).read_text())) for path in paths]
    where, name = _split(target)
    return [place for place in _definitions(tree).get(name, ()) if where in _dotted(place.path)]


def _split(target: str) -> tuple[str, str]:
    where, colon, name = target.rpartition(": ")
    return (f".{where}." if colon else ""), name


def _dotted(path: str) -> str:
    return f".{path.removesuffix('.py').replace('/', '.')}."


def _occurrences(tree: Path, within: _Place, fragment: str) -> Iterator[_Place]:
    wanted = [word for word, _, _ in _words(fragment)]
    words = _words(_code(tree, within.path)[within.start : within.end])
    texts = [word for word, _, _ in words]
    for at in range(len(texts) - len(wanted) + 1):
        if texts[at : at + len(wanted)] == wanted:
            start, end = words[at][1], words[at + len(wanted) - 1][2]
            yield _Place(within.path, within.start + start, within.start + end)


def _words(text: str) -> list[tuple[str, int, int]]:
    """Return the words and signs with where each begins and ends, without a comma that ends a list."""
    found = [('"' if one[0] in _QUOTES else one[0], one.start(), one.end()) for one in _WORD.finditer(text)]
    following = [*(word for word, _, _ in found[1:]), ""]
    return [one for one, then in zip(found, following, strict=True) if one[0] != "," or then not in _CLOSING]


@cache
def _code(tree: Path, path: str) -> str:
    """Return the text of a file with blanks for Python's comments."""
    text = (tree / path).read_text()
    if not path.endswith(".py"):
        return text
    starts = _line_starts(text)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            start = starts[token.start[0] - 1] + token.start[1]
            text = text[:start] + " " * len(token.string) + text[start + len(token.string) :]
    return text


def _line_starts(text: str) -> list[int]:
    return list(accumulate((len(line) for line in io.StringIO(text)), initial=0))


@cache
def _files(tree: Path) -> list[str]:
    """Return the paths of the product's files."""
    files = [*tree.glob("*"), *(tree / "apps").rglob("*.*"), *(tree / "tformance").rglob("*.*")]
    return sorted(file.relative_to(tree).as_posix() for file in files if file.is_file())


@cache
def _definitions(tree: Path) -> dict[str, list[_Place]]:
    """Return where each function, class and constant of the product stands, by qualified name."""
    places: dict[str, list[_Place]] = {}
    for path in (path for path in _files(tree) if path.endswith(".py")):
        text = (tree / path).read_text()
        starts = _line_starts(text)
        for name, first, last in _named(ast.parse(text)):
            places.setdefault(name, []).append(_Place(path, starts[first - 1], starts[last]))
    return places


def _named(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield the qualified names below the node with the first and the last line of each; no variables of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = min(one.lineno for one in (child, *child.decorator_list))
            yield prefix + child.name, first, child.end_lineno or first
            yield from _named(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.Assign | ast.AnnAssign) and isinstance(node, ast.Module | ast.ClassDef):
            for one in child.targets if isinstance(child, ast.Assign) else [child.target]:
                if isinstance(one, ast.Name):
                    yield prefix + one.id, child.lineno, child.end_lineno or child.lineno
        elif isinstance(child, ast.stmt):
            yield from _named(child, prefix)


@cache
def _tests(tree: Path) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for file in sorted((tree / "tests").rglob("test_*.py")):
        for name in _TEST.findall(file.read_text()):
            paths.setdefault(name, []).append(file.relative_to(tree).as_posix())
    return paths
