"""The receiver, as `make run` runs it: signed bodies on 32 keep-alive connections, workers processing meanwhile.

Beside pgbench inserting the same bytes one row a transaction, and beside the textbook door, which has no workers.
"""

import statistics
import subprocess
from collections.abc import Iterator

import psycopg

from benchmarks.bodies import mean_size, signed_bodies
from benchmarks.end_to_end import wait_until_fresh
from benchmarks.load import Answers, Body, post
from benchmarks.results import Measurement, median_of
from benchmarks.stack import Stack, stack
from tformance.local import programs
from tformance.local.engine_binaries import client_program

CONNECTIONS = 32
COUNT = 6000
ROUNDS = 5
BODY_BYTES = 10_000
TABLE = """DROP TABLE IF EXISTS bench;
CREATE TABLE bench (LIKE webhooks_deliverybody INCLUDING STORAGE INCLUDING COMPRESSION, id bigserial PRIMARY KEY)"""


def measure() -> Iterator[Measurement]:
    """Deliveries a second and their latency: each of the three in turn, several rounds, the median of each."""
    ours: list[Answers] = []
    textbook: list[Answers] = []
    inserts: list[float] = []
    with stack() as running:
        bodies = signed_bodies(secret=running.secret, count=200, size=BODY_BYTES)
        for _ in range(ROUNDS):
            inserts.append(pgbench(running, body=bodies[0].content))
            with running.running(*programs.workers(), programs.beat()):
                ours.append(posted(running, bodies, settings="tformance.settings"))
                wait_until_fresh(running)
            textbook.append(posted(running, bodies, settings="benchmarks.textbook.settings"))
            forget_the_textbooks(running)
    name = f"receiver, bodies of {mean_size(bodies) / 1000:.1f} kB"
    rates = [answers.rate for answers in ours]
    beside = statistics.median(answers.rate for answers in textbook)
    yield median_of(
        f"{name}, beside pgbench", rates, unit="deliveries/s", beside={"pgbench rows/s": statistics.median(inserts)}
    )
    yield median_of(f"{name}, beside a textbook", rates, unit="deliveries/s", beside={"textbook deliveries/s": beside})
    for share, quantile in ((0.5, "p50"), (0.99, "p99")):
        rounds = [answers.quantile_ms(share) for answers in ours]
        textbook_ms = statistics.median(answers.quantile_ms(share) for answers in textbook)
        yield median_of(f"{name}, {quantile}", rounds, unit="ms", beside={"textbook ms": textbook_ms})


def posted(running: Stack, bodies: list[Body], *, settings: str) -> Answers:
    with running.web(settings=settings) as port:
        post(bodies, port=port, count=500, connections=CONNECTIONS)
        answers = post(bodies, port=port, count=COUNT, connections=CONNECTIONS)
    if set(answers.statuses) != {202}:
        raise RuntimeError(f"The receiver answered {answers.statuses}")
    return answers


def forget_the_textbooks(running: Stack) -> None:
    """Delete the deliveries that the textbook door stored for no worker, which ours would process in the next round."""
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("TRUNCATE webhooks_delivery, webhooks_deliverybody CASCADE")


def pgbench(running: Stack, *, body: bytes) -> float:
    """Rows a second of one INSERT a transaction of the same bytes, prepared, stored alike, on as many connections."""
    url = running.environment["DATABASE_URL"]
    script = running.var / "insert.sql"
    script.write_text(
        f"INSERT INTO bench (day, delivery_id, content, headers) VALUES ('2026-01-05', 1, '\\x{body.hex()}', '{{}}');\n"
    )
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
