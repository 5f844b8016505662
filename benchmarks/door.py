"""The door: signed bodies of 10 KB on 32 keep-alive connections, everything durable.

Beside pgbench inserting the same bytes one row a transaction, and beside the textbook door.
"""

import subprocess
from collections.abc import Iterator

from benchmarks.bodies import signed_bodies
from benchmarks.load import Answers, post
from benchmarks.results import Measurement
from benchmarks.stack import Stack, stack
from tformance.embedded.binaries import client_program

CONNECTIONS = 32
COUNT = 6000
ROUNDS = 3
BODY_BYTES = 10_000
TABLE = """DROP TABLE IF EXISTS bench;
CREATE TABLE bench (LIKE webhooks_deliverybody INCLUDING STORAGE INCLUDING COMPRESSION, id bigserial PRIMARY KEY)"""


def measure() -> Iterator[Measurement]:
    """Deliveries a second and their latency; each road in turn, several rounds, the best round of each."""
    ours: list[Answers] = []
    textbook: list[Answers] = []
    inserts: list[float] = []
    with stack() as running:
        for _ in range(ROUNDS):
            inserts.append(
                pgbench(running, body=signed_bodies(secret=running.secret, count=1, size=BODY_BYTES)[0].content)
            )
            ours.append(posted(running, settings="tformance.settings"))
            textbook.append(posted(running, settings="benchmarks.textbook.settings"))
    best = max(ours, key=lambda answers: answers.rate)
    best_textbook = max(textbook, key=lambda answers: answers.rate)
    yield Measurement(name="door", value=best.rate, unit="deliveries/s", beside={"pgbench rows/s": max(inserts)})
    yield Measurement(
        name="door beside a textbook door",
        value=best.rate,
        unit="deliveries/s",
        beside={"textbook deliveries/s": best_textbook.rate},
    )
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        yield Measurement(
            name=f"door {name}",
            value=best.quantile_ms(share),
            unit="ms",
            beside={"textbook ms": best_textbook.quantile_ms(share)},
        )


def posted(running: Stack, *, settings: str) -> Answers:
    bodies = signed_bodies(secret=running.secret, count=200, size=BODY_BYTES)
    with running.web(settings=settings) as port:
        post(bodies, port=port, count=500, connections=CONNECTIONS)
        answers = post(bodies, port=port, count=COUNT, connections=CONNECTIONS)
    if set(answers.statuses) != {202}:
        raise RuntimeError(f"The door answered {answers.statuses}")
    return answers


def pgbench(running: Stack, *, body: bytes) -> float:
    """Rows a second of one INSERT a transaction of the same bytes, prepared, stored alike, on as many connections."""
    url = running.environment["DATABASE_URL"]
    script = running.var / "insert.sql"
    script.write_text(f"INSERT INTO bench (delivery_id, content, headers) VALUES (1, '\\x{body.hex()}', '{{}}');\n")
    subprocess.run([client_program("psql"), url, "--quiet", "--no-psqlrc", "--command", TABLE], check=True)
    command: list[str] = [
        str(client_program("pgbench")),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={CONNECTIONS}",
    ]
    options = ["--jobs=2", "--time=6", f"--file={script}", url]
    output = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
    return next(float(line.split("=")[1].split()[0]) for line in output.splitlines() if line.startswith("tps"))
