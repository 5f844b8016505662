"""The documents stay true: what they point at exists, and what is generated is current."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from apps.metrics.management.commands.describe_figures import page
from apps.webhooks.models import Delivery
from benchmarks import results
from tests.engines import WEBHOOK_SECRET
from tformance.celery import app

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
PLACE = re.compile(r"`((?:apps|tests|tformance|deploy|benchmarks|docs|requirements)/[\w./*-]*)`")
MODULES_WITH_PROBLEMS = (
    "apps/monitoring/status.py",
    "apps/integrations/health.py",
)
WORD = re.compile(r'(?:(?:problems|found)\[|return \{)"(\w+)"|"(\w+)": probe_')
TEST_NAME = re.compile(r"`(test_\w+)`")
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.DOTALL | re.MULTILINE)
METAPHOR = re.compile(
    r"\b(letterbox|doorbell|bells?|rings?|rung|walk(?:s|ed|ing)?|tells?|told|mend(?:s|ed)?|knock|errand|in vain"
    r"|sweep(?:s|ing)?|doors?|judge[sd]?|whoever|provable|strangers?|roads|lapse[sd]?|owe[sd]?|enrichment)\b"
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_at_exists(document):
    text = document.read_text()
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    missing += [place for place in PLACE.findall(text) if not list(ROOT.glob(place.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_has_no_metaphors_outside_of_code(document):
    assert METAPHOR.findall(CODE.sub("", document.read_text())) == []


def test_each_worked_example_counts_the_files_it_names():
    text = (ROOT / "docs" / "contributing.md").read_text().partition("## Worked examples")[2]
    examples = [section for section in re.split(r"^###? ", text, flags=re.MULTILINE) if re.search(r"\d files", section)]
    assert len(examples) == 5
    for section in examples:
        named = "".join(item.partition(":")[0] for item in re.findall(r"^\d+\. .*", section, re.MULTILINE))
        assert f" {named.count('`') // 2} files" in section


def test_every_test_that_a_guarantee_names_exists():
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = {name for document in DOCUMENTS for name in TEST_NAME.findall(document.read_text())}
    assert {name for name in named if f"def {name}(" not in source} == set()


def test_the_operations_guide_names_every_task():
    app.loader.import_default_modules()
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    assert {name for name in app.tasks if name.startswith("apps.") and name.rpartition(".")[2] not in named} == set()


def test_the_operations_guide_explains_every_problem_of_the_status_check():
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "operations.md").read_text()))
    words = {"".join(found) for module in MODULES_WITH_PROBLEMS for found in WORD.findall((ROOT / module).read_text())}
    assert len(words) > 12
    assert words - named == set()


def test_the_page_of_figures_is_what_the_registry_says():
    assert (ROOT / "docs" / "figures.md").read_text() == page(), (
        "write it anew: manage.py describe_figures > docs/figures.md"
    )


@pytest.mark.skipif(not (shutil.which("openssl") and shutil.which("curl")), reason="about openssl and curl")
@pytest.mark.django_db(transaction=True)
def test_the_delivery_of_ones_own_is_accepted(live_server, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "operations.md").read_text(), re.DOTALL | re.MULTILINE)
    (script,) = (block for block in blocks if "openssl" in block)
    (tmp_path / "var").mkdir()
    secrets = json.dumps({"GITHUB_WEBHOOK_SECRETS": f"{WEBHOOK_SECRET},an-older-secret-of-this-app"})
    (tmp_path / "var" / "secrets.json").write_text(secrets)
    script = script.replace("http://127.0.0.1:8000", live_server.url)
    answer = subprocess.run(["sh", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("HTTP/1.1 202"), answer.stdout
    assert Delivery.objects.get().event == "ping"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_table_of_the_benchmarks_is_written_by_them():
    text = results.DOCUMENT.read_text()
    table = results.as_document(json.loads(results.FIGURES.read_text()))
    assert f"<!-- table of the benchmarks -->\n{table}<!-- end of the table -->" in text
    assert len(table.splitlines()) > 10
