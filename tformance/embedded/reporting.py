"""How the engines stand, in words."""

import os
from collections.abc import Iterator
from pathlib import Path

from tformance.embedded.engines import Engines
from tformance.embedded.home import Home, abandoned_folders
from tformance.embedded.occupants import processes_under


def tell_engines(var: Path) -> Iterator[tuple[str, bool]]:
    """A line for each engine, and whether it answers; one that runs elsewhere is not ours to ask."""
    status = Engines(var=var).status()
    home = Home.existing(var)
    ports = (home.postgres_port, home.redis_port) if home else (0, 0)
    answers = (status.postgres, status.redis)
    names = (("PostgreSQL", "DATABASE_URL"), ("Redis", "REDIS_URL"))
    for (name, variable), is_ready, port in zip(names, answers, ports, strict=True):
        if os.environ.get(variable):
            yield f"{name:<11} elsewhere: {variable} is set", True
        else:
            yield f"{name:<11} {f'ready on 127.0.0.1:{port}' if is_ready else 'not running'}", is_ready


def tell_abandoned() -> Iterator[str]:
    """Yield a line for each folder of engines whose checkout is gone; only one in which nothing runs may be deleted."""
    for folder in abandoned_folders():
        if processes := processes_under(folder):
            numbers = " ".join(str(process.pid) for process in processes)
            yield f"note: {folder} holds the data of a checkout that is gone, and is still in use: process {numbers}"
        else:
            yield f"note: {folder} holds the data of a checkout that is gone; delete it if nobody wants it"
