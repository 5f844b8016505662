"""What deploy/nginx.conf, as it is shipped, keeps away from the server behind it. Needs nginx."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.webhooks.models import Delivery
from tests.bad_input.server import PATIENCE_S, Server, head, status_in
from tests.bad_input.test_bare_server import BODY, CHUNKS, LENGTH, refused
from tformance.local.state import CHECKOUT, free_port
from tformance.local.stop_processes import wait_until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: deploy/nginx.conf is not tried out"),
    pytest.mark.django_db(transaction=True),
]


@dataclass(frozen=True)
class Edge(Server):
    """nginx in front of the server; everything goes through TLS, as GitHub's deliveries do."""

    def connect(self, *, client: str = "127.0.0.1") -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # of its own making, for an hour
        return context.wrap_socket(super().connect(client=client), server_hostname="tformance.example.com")


@pytest.fixture(scope="module")
def edge(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """nginx with the shipped site; only ports and the place of the certificate are this test's."""
    folder = tmp_path_factory.mktemp("edge")
    port = free_port()
    configuration = write_configuration(folder, https=port, http=free_port(), behind=server.port)
    process = subprocess.Popen([str(NGINX), "-p", folder, "-e", folder / "error.log", "-c", configuration])
    try:
        assert wait_until(lambda: answers(port), seconds=PATIENCE_S), (folder / "error.log").read_text()
        yield Edge(port=port, process_id=process.pid)
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def write_configuration(folder: Path, *, https: int, http: int, behind: int) -> Path:
    certify = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tformance", "-days", "1"]
    certify += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(certify, check=True, capture_output=True)
    site = (CHECKOUT / "deploy" / "nginx.conf").read_text()
    for shipped, ours in (
        ("/etc/ssl/tformance", str(folder)),
        ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
        ("listen 443", f"listen 127.0.0.1:{https}"),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
    ):
        assert shipped in site
        site = site.replace(shipped, ours)
    (folder / "site.conf").write_text(site)
    folders = " ".join(f"{name}_temp_path {folder}/{name};" for name in PLACES)
    whole = f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
    whole += f"events {{}}\nhttp {{ access_log off; {folders} include {folder}/site.conf; }}\n"
    (folder / "nginx.conf").write_text(whole)
    return folder / "nginx.conf"


PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_an_honest_delivery_comes_through(edge: Edge) -> None:
    assert edge.status_of(head(BODY) + BODY) == 202
    assert bytes(Delivery.objects.get().body.content) == BODY


def test_row_20_github_may_send_25_mb_and_nobody_else_more_than_one(edge: Edge) -> None:
    assert refused(edge, head(BODY, Content_Length=str(25 * 2**20 + 1))) == 413
    elsewhere = head(BODY, Content_Length=str(2 * 2**20)).replace(b"/webhooks/github/", b"/api/v1/teams/")
    assert refused(edge, elsewhere) == 413
    large = b'{"a":"' + b"x" * 2**22 + b'"}'
    assert edge.status_of(head(large) + large) == 202


def test_row_22_chunks_are_gathered_so_that_what_arrives_behind_has_a_length(edge: Edge) -> None:
    chunked = head(BODY, without=("Content-Length",), Transfer_Encoding="chunked")
    assert edge.status_of(chunked + CHUNKS) == 202
    assert bytes(Delivery.objects.get().body.content) == BODY


def test_row_23_a_length_together_with_chunks_is_400(edge: Edge) -> None:
    assert refused(edge, head(BODY, Transfer_Encoding="chunked") + CHUNKS) == 400


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "9, 9"])
def test_row_26_a_malformed_length_is_400(edge: Edge, length: str) -> None:
    assert refused(edge, head(BODY, Content_Length=length) + BODY) == 400


def test_row_26_a_length_that_is_said_twice_is_400(edge: Edge) -> None:
    assert refused(edge, head(BODY).replace(LENGTH, 2 * LENGTH) + BODY) == 400


def test_row_28_clients_that_send_slowly_hold_no_thread(edge: Edge, server: Server) -> None:
    """nginx passes a body on when it is whole, and bears 64 connections of one address."""
    unfinished = head(BODY, Content_Length="100") + b"{"
    with edge.holding(unfinished, times=60):
        assert edge.status_of(head(BODY) + BODY) == 202
        assert server.get("/readyz") == 200
        with edge.holding(unfinished, times=4):
            assert wait_until(lambda: edge.status_of(head(BODY) + BODY) == 503, seconds=PATIENCE_S)


def test_row_30_a_header_of_20_kb_and_200_headers_are_refused(edge: Edge) -> None:
    assert refused(edge, head(BODY, X_Filler="x" * 20_000) + BODY) == 400
    assert refused(edge, head(BODY, **{f"X_Filler_{number}": "x" for number in range(200)}) + BODY) == 431


def test_row_31_bare_line_feeds_are_read_and_passed_on_as_proper_ones(edge: Edge) -> None:
    assert refused(edge, head(BODY, line_end="\r") + BODY) == 400
    assert edge.status_of(head(BODY, line_end="\n") + BODY) == 202


def test_row_15_an_underscored_signature_is_none(edge: Edge) -> None:
    underscored = head(BODY).replace(b"X-Hub-Signature-256", b"X_Hub_Signature_256")
    assert refused(edge, underscored + BODY) == 401


@pytest.mark.parametrize("path", ["livez", "readyz", "metrics"])
def test_health_and_numbers_are_for_machines_beside_it(edge: Edge, path: str) -> None:
    request = f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    assert status_in(edge.answer_to(request, client="127.0.0.2")) == 403
    assert status_in(edge.answer_to(request)) == (401 if path == "metrics" else 200)


def test_a_forwarded_address_that_a_client_claims_ends_here() -> None:
    site = (CHECKOUT / "deploy" / "nginx.conf").read_text()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in site
    assert "underscores_in_headers off;" in site
