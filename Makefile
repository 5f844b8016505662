# tformance: everything a user or an engineer of it does. `make` or `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --progress-bar off --root-user-action ignore \
	--require-hashes --no-deps --only-binary :all: --no-compile

# Install a lock file and say which package is on its way; the stamp is there only if pip succeeded.
define INSTALL
@rm -f $@; $(SHOW_PROGRESS) total=$$(grep -c '^[^ ]*==' $<); { $(PIP) --requirement $< && touch $@; } | { n=0; while read -r word name rest; do \
	case "$$word" in \
		Collecting|Processing) n=$$((n + 1)); echo "  $$n of $$total: $${name##*/}";; \
		Installing) echo "  Unpacking them …";; \
	esac; done; }; test -e $@
@echo "Installed. What is loaded for the first time is compiled, which takes a moment."
endef

# Print the elapsed time every PROGRESS_S seconds until the end of the recipe's line.
PROGRESS_S ?= 5
SHOW_PROGRESS = { n=0; while sleep $(PROGRESS_S) >/dev/null 2>&1; do n=$$((n + $(PROGRESS_S))); echo "  ($$n s so far)"; done; } & \
	teller=$$!; trap "kill $$teller" EXIT;

# Byte code is written when first used and read from then on: a second start must be quick.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONUNBUFFERED := 1

# For checks that load the settings but never connect to anything.
UNCONNECTED := SECRET_KEY=not-a-secret-only-for-checks-that-never-connect-to-anything DATABASE_URL=postgres://none/none REDIS_URL=redis://none

.DEFAULT_GOAL := help
.PHONY: help demo demo-backfill run forward stop status test proofs chaos recovery mutations permutations bench bench-document lint types imports migrations-check deploy-check check audit format \
	celery-worker celery-beat celery-dev migrate shell backup restore upgrade lock release clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; \
		do printf '  %-18s %s\n' "$$name" "$$text"; done

# --- Running -------------------------------------------------------------------------------------------------------

demo: $(VENV)/run.stamp  ## Run everything with sample data; prints the address, the sign-in and the figures
	@$(BIN)/python -m tformance.local --end-with-parent demo

run: $(VENV)/run.stamp  ## Run everything on this machine until Ctrl-C: PostgreSQL, Redis, web, workers, beat
	@$(BIN)/python -m tformance.local --end-with-parent run

forward: $(VENV)/run.stamp  ## On a laptop: bring deliveries from the App's smee channel (or CHANNEL=) to `make run`
	@$(BIN)/python manage.py forward_webhooks $(CHANNEL)

stop: $(VENV)/run.stamp  ## Stop all processes of this checkout
	@$(BIN)/python -m tformance.local stop

status: $(VENV)/run.stamp  ## Show what is running: PostgreSQL, Redis, web and its address, workers, beat
	@$(BIN)/python -m tformance.local status || true

celery-worker: $(VENV)/run.stamp  ## Run the Celery workers alone, in the foreground
	@$(BIN)/python -m tformance.local --end-with-parent worker

celery-beat: $(VENV)/run.stamp  ## Run Celery beat alone, in the foreground
	@$(BIN)/python -m tformance.local --end-with-parent beat

celery-dev: $(VENV)/run.stamp  ## Run workers and beat together, in the foreground
	@$(BIN)/python -m tformance.local --end-with-parent dev

# --- The database --------------------------------------------------------------------------------------------------

migrate: $(VENV)/run.stamp  ## Migrate the database
	@$(BIN)/python -m tformance.local with -- $(BIN)/python manage.py migrate

shell: $(VENV)/run.stamp  ## Open a Python shell with the models
	@$(BIN)/python -m tformance.local with -- $(BIN)/python manage.py shell

backup: $(VENV)/run.stamp  ## Write the database to var/backups/ (or FILE=)
	@$(BIN)/python -m tformance.local with -- $(BIN)/python -m tformance.backup backup $(FILE)

restore: $(VENV)/run.stamp  ## Restore the database from a backup: make restore FILE=…
	@test -n "$(FILE)" || { echo "error: which backup? make restore FILE=var/backups/…"; exit 2; }
	@$(BIN)/python -m tformance.local with -- $(BIN)/python -m tformance.backup restore "$(FILE)"

upgrade: $(VENV)/run.stamp  ## After `git pull`: install dependencies, back up, migrate
	@$(MAKE) --no-print-directory backup
	@$(BIN)/python -m tformance.local with -- $(BIN)/python manage.py prepare
	@echo "Upgraded. Start it with: make run"

# --- Working on it -------------------------------------------------------------------------------------------------

test: $(VENV)/dev.stamp  ## Run the tests on their own PostgreSQL and Redis (ARGS= for pytest)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m "not proof" $(ARGS)

proofs: $(VENV)/dev.stamp  ## Run the long tests: crashes, outages, real processes (ARGS= for pytest)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m proof $(ARGS)

demo-backfill: $(VENV)/dev.stamp  ## Show a backfill of 690 pull requests from a fake GitHub, with progress
	@$(BIN)/python -m tests.fake_github.demonstration

chaos: $(VENV)/dev.stamp  ## Break a running system at random for DURATION= seconds (600) and check every delivery (RATE=, SEED=)
	@$(BIN)/python -m tests.rig.chaos --seconds $(or $(DURATION),600) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE))

recovery: $(VENV)/dev.stamp  ## Break one thing at a time and measure the recovery against a limit (minutes; NAMES= to choose)
	@$(BIN)/python -m tests.rig.recoveries $(NAMES)

mutations: $(VENV)/dev.stamp  ## Remove one safety at a time and check that a test fails (minutes; NAMES= to choose)
	@$(BIN)/python -m tests.mutations $(NAMES)

permutations: $(VENV)/dev.stamp  ## Deliver an example in COUNT= (1000) random orders and compare the tables (minutes)
	@PERMUTATIONS=$(or $(COUNT),1000) $(BIN)/python -m pytest --numprocesses $(WORKERS) --timeout 3600 -k in_any_order_with_repeats tests/journey

check: lint types imports migrations-check deploy-check  ## Everything but the tests

lint: $(VENV)/dev.stamp  ## Check the style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/dev.stamp  ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

types: $(VENV)/dev.stamp  ## Check types
	@$(UNCONNECTED) $(BIN)/mypy

imports: $(VENV)/dev.stamp  ## Check the import rules between apps
	@$(BIN)/lint-imports --no-cache

migrations-check: $(VENV)/dev.stamp  ## Check that no model changed without a migration
	@$(UNCONNECTED) $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

deploy-check: $(VENV)/dev.stamp  ## Run Django's deployment checks
	@$(UNCONNECTED) SECRET_KEY="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(48))')" \
		FERNET_KEYS="$$($(PYTHON) -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')" \
		GITHUB_WEBHOOK_SECRETS="$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(32))')" \
		PUBLIC_URL=https://tformance.example.com EMAIL_URL=submission://user:password@mail.example.com \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

audit: $(VENV)/dev.stamp  ## Check the locked packages for known vulnerabilities
	@$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/run.lock

bench: $(VENV)/dev.stamp  ## Run the benchmarks (NAMES= to choose); prints a table and writes var/bench.json
	@$(BIN)/python -m tformance.local with -- $(BIN)/python -m benchmarks $(NAMES)

bench-document: $(VENV)/dev.stamp  ## Write the results of var/bench.json into docs/performance.md
	@$(BIN)/python -m benchmarks --document

lock: $(VENV)/dev.stamp  ## Update the locked dependencies (needs uv)
	@command -v uv >/dev/null || { echo "error: uv is not installed; it writes the lock files."; exit 2; }
	uv pip compile -q pyproject.toml --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o requirements/run.lock
	uv pip compile -q pyproject.toml --extra dev --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o requirements/dev.lock

release:  ## Write the changelog's next section and the version, commit and tag: make release VERSION=1.2.0
	@test -n "$(VERSION)" || { echo "error: which version? make release VERSION=1.2.0"; exit 2; }
	@$(PYTHON) .ci/release.py "$(VERSION)"

clean:  ## Delete .venv, caches and test data, never your data
	@if [ -x $(BIN)/python ] && [ -d var/test ]; then TFORMANCE_VAR=var/test $(BIN)/python -m tformance.local engines remove --yes; fi
	rm -rf $(VENV) var/test .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find apps tformance tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# --- The environment of Python ---------------------------------------------------------------------------------------

# An interpreter that was upgraded or removed leaves a .venv that cannot start: make it again.
ifeq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),)
$(shell rm -rf $(VENV))
endif

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is $$($(PYTHON) --version); tformance needs 3.11 or newer. Name one: make PYTHON=python3.12 …"; exit 2; }
	@echo "Making $(VENV) …"
	@$(SHOW_PROGRESS) $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 2; }

$(VENV)/run.stamp: requirements/run.lock | $(BIN)/python
	@echo "Installing the locked dependencies …"
	$(INSTALL)

$(VENV)/dev.stamp: requirements/dev.lock | $(BIN)/python
	@echo "Installing the locked dependencies, with those for development …"
	$(INSTALL)
	@touch $(VENV)/run.stamp $@
