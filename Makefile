# make run     serve the example application on http://127.0.0.1:8000 (another port: make run PORT=9000)
# make test    run everything, against real servers (each test of sessions with some kinds of ledgers and triggers in turn;
#              with all of them: EVERY_KIND=1)
# make test-busy  the same beside two busy loops, in random order
# make coverage  which lines the tests run, on Python 3.12 or newer: make coverage PYTHON=python3.13 (a part: TESTS=tests/rows)
# make test-sqlalchemy-2.0  run what concerns rows on SQLAlchemy 2.0: with one kind of session for each database, without
#              triggers (all of it: ALL=1)
# make crash   kill a process at every statement and store call of every script, 48,000 times, in some 80 minutes
# make power-cuts  cut the power 10,000 times (fewer: make power-cuts CUTS=1000), on a disk that keeps what was synced
# make model   play 20,000 random sequences of everything that programs do with sessions, against a model of rows and files
#              (fewer: SEQUENCES=2000; the same again: SEED=…; one kind of database, ledger, session and column: CELL=…)
# make model-faults  break the library in one place after the other, and see that the model finds each out
# make soak    load PostgreSQL and SeaweedFS for a minute (longer: make soak SECONDS=600), killing processes meanwhile
#              (with sessions that block: make soak SESSIONS=sync)
# make fuzz    feed the parsers of forms, ranges and conditions for a minute (longer: make fuzz SECONDS=600)
# make check   style, types, and which module may import which
# make bench   compare uploads and downloads with other ways, in 40 minutes (a look: QUICK=1; one table: ONLY=refusal)
# make bench-layers  where the time of a small upload goes
# make bench-audit  seconds and memory of an audit of a million objects and rows
# make release-check  build wheel and sdist, and run the tests against what users install (a part: TESTS=tests/rows)
# make format  let ruff rewrite the code's layout
# make lock    pin the newest dependencies that fit the pins of today
# make clean   remove whatever the others made

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= 3
SECONDS ?= 60
SESSIONS ?= async
CUTS ?= 10000
TESTS ?=
SEQUENCES ?= 20000

VENV := .venv
SQLALCHEMY_2_0 := $(CURDIR)/$(VENV)/sqlalchemy-2.0
VENV_BENCH := .venv-bench
VENV_COVERAGE = $(VENV)-coverage-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
COVERAGE_OF_BRANCHES = $(shell $(PYTHON) -c 'import sys; print("--cov-branch" if sys.version_info >= (3, 14) else "")')
BIN := $(VENV)/bin
NODE := tests/servers/node
NODE_MODULES := $(NODE)/node_modules/.package-lock.json
CODE := $(wildcard fastapi_filestore fastapi_filestore_pytest example_app tests benchmarks)

# Node's programs look for `node` on the path; the environment brings one.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"
# What is imported is compiled then: most of it never is.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile
# Lock files are whole: pip, asked to resolve them once more, stumbles over an extra of which a newer release is out.
LOCKED := --no-deps --require-hashes --requirement
INSTALL_ITSELF := $(INSTALL) --no-deps --no-build-isolation --editable .
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# A test that hangs where no signal is heard, and a run that hangs anywhere, end and print all stacks.
LIMITED = -m tests.run $(1) -- $(2)/bin/python -m pytest -n $(WORKERS) --dist worksteal \
	-o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true

.PHONY: run test test-busy coverage test-sqlalchemy-2.0 crash power-cuts model model-faults soak fuzz \
	release-check check check-style check-mypy check-pyright check-imports bench bench-layers bench-audit format lock clean programs

# Its page goes on with large files where they were cut off, so it takes some, and ends those that nobody goes on with.
run: export FILESTORE_MAX_UPLOAD_SIZE ?= 20 GiB
run: export FILESTORE_SWEEP_EVERY ?= 300
run: $(VENV)/.run
	$(BIN)/uvicorn example_app.main:app --host 127.0.0.1 --port $(PORT) --timeout-graceful-shutdown 5

test: $(VENV)/.dev $(NODE_MODULES) programs
	$(BIN)/python $(call LIMITED,,$(VENV)) $(TESTS)

test-busy: $(VENV)/.dev $(NODE_MODULES) programs
	$(BIN)/python $(call LIMITED,--busy 2 --seconds 7200,$(VENV)) --shuffle random $(TESTS)

# Tests run without a tracer, which can hang an interpreter: Python itself tells of lines from 3.12, of branches from 3.14.
coverage: $(NODE_MODULES) programs
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12) and "Python 3.12 or newer: make coverage PYTHON=python3.13")'
	$(MAKE) --no-print-directory $(VENV_COVERAGE)/.installed
	$(WITH_NODE) $(VENV_COVERAGE)/bin/python $(call LIMITED,,$(VENV_COVERAGE)) --cov=fastapi_filestore $(COVERAGE_OF_BRANCHES) $(TESTS)

test-sqlalchemy-2.0: export PYTHONPATH := $(SQLALCHEMY_2_0)
test-sqlalchemy-2.0: $(SQLALCHEMY_2_0)/.installed
	$(BIN)/python -c 'import sqlalchemy; assert sqlalchemy.__version__[:4] == "2.0.", sqlalchemy.__version__'
	$(BIN)/python $(call LIMITED,,$(VENV)) tests/rows tests/schema $(if $(ALL),,-k "not sqlite-sync and not postgres-async")

crash: $(VENV)/.dev
	$(BIN)/python -m tests.run --seconds 14400 -- $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/crash/every_point.py

power-cuts: $(VENV)/.dev
	$(BIN)/python -m tests.power.cuts $(CUTS)

model: $(VENV)/.dev
	$(BIN)/python -m tests.model --workers $(WORKERS) --sequences $(SEQUENCES) \
		$(if $(SEED),--seed $(SEED)) $(if $(CELL),--cell $(CELL))

model-faults: $(VENV)/.dev
	$(BIN)/python -m tests.model.find_faults $(WORKERS)

soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak $(SECONDS) $(SESSIONS)

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.security.fuzz $(SECONDS)

# Both type checkers take their minute on one processor; pyright comes with Node's packages, while mypy works.
check: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target check-mypy check-pyright check-style check-imports

check-style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-mypy:
	$(BIN)/mypy $(CODE)

check-pyright: $(NODE_MODULES)
	$(WITH_NODE) $(NODE)/node_modules/.bin/pyright

check-imports:
	$(BIN)/lint-imports --no-logo

bench: $(VENV_BENCH)/.installed $(NODE_MODULES)
	$(VENV_BENCH)/bin/python -m benchmarks $(if $(QUICK),--scale quick) $(if $(ONLY),--only $(ONLY))

bench-layers: $(VENV_BENCH)/.installed
	$(VENV_BENCH)/bin/python -m benchmarks.layers

bench-audit: $(VENV)/.dev
	$(BIN)/python -m benchmarks.audit

release-check: $(VENV)/.dev $(NODE_MODULES) programs
	$(BIN)/python -m tests.release $(TESTS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

lock: $(VENV)/.lock
	$(COMPILE) --extra sqlite --extra postgres --extra server --group run -o requirements/run.txt pyproject.toml
	$(COMPILE) --all-extras --group dev --constraint requirements/run.txt -o requirements/dev.txt pyproject.toml
	echo "sqlalchemy<2.1" | $(COMPILE) --no-deps -o requirements/sqlalchemy-2.0.txt -
	$(COMPILE) --extra sqlite --extra postgres --extra psycopg --extra server --group bench \
		--constraint requirements/dev.txt -o requirements/bench.txt pyproject.toml
	cd $(NODE) && $(WITH_NODE) npm install --package-lock-only

clean:
	rm -rf $(VENV) $(VENV_BENCH) $(VENV)-coverage-* $(NODE)/node_modules build dist htmlcov .coverage*
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# -- the environment: a stamp is younger than all it was made from -------------------------------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(INSTALL) $(LOCKED) requirements/run.txt
	$(INSTALL_ITSELF)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(INSTALL) $(LOCKED) requirements/dev.txt
	$(INSTALL_ITSELF)
	@touch $@

# Those beside it, each from the lock file of its name, or for another version of Python.
define INSTALL_BESIDE
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-compile $(LOCKED) $<
	$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)-%/.installed: requirements/%.txt pyproject.toml
	$(INSTALL_BESIDE)

# Imported before the SQLAlchemy of the environment, which has everything else.
$(SQLALCHEMY_2_0)/.installed: requirements/sqlalchemy-2.0.txt | $(VENV)/.dev
	rm -rf $(@D)
	$(INSTALL) --target $(@D) $(LOCKED) $<
	@touch $@

$(VENV)-coverage-%/.installed: requirements/dev.txt pyproject.toml
	$(INSTALL_BESIDE)

$(VENV)/.lock: | $(VENV)/.dev
	$(INSTALL) uv
	@touch $@

$(NODE_MODULES): $(NODE)/package-lock.json | $(VENV)/.dev
	cd $(NODE) && $(WITH_NODE) npm ci
	@touch $@

# Where they can't be installed, the tests that need them say so themselves. Of nginx the program is enough, and no
# server of the system's own is started.
APT_GET := $(if $(filter 0,$(shell id -u)),apt-get,sudo -n apt-get)
programs: | $(VENV)/pyvenv.cfg
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
		|| { $(APT_GET) update && $(APT_GET) install --yes --no-install-recommends chromium; } || true
	@command -v strace >/dev/null || { $(APT_GET) update && $(APT_GET) install --yes --no-install-recommends strace; } || true
	@PATH="$(BIN):$$PATH:/usr/sbin"; command -v nginx >/dev/null || $(MAKE) --no-print-directory $(BIN)/nginx || true

$(BIN)/nginx: | $(VENV)/pyvenv.cfg
	$(APT_GET) update
	rm -rf $(VENV)/nginx && mkdir $(VENV)/nginx
	cd $(VENV)/nginx && apt-get download nginx && dpkg --extract nginx_*.deb .
	cp $(VENV)/nginx/usr/sbin/nginx $@
