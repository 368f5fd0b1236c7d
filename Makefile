# `make` prepares the command and lists what else can be made.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Tests that tell a story file by file stay together; `ARGS=-n0` runs all in one process.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.PHONY: help install demo lab example-environments newest-alertmanager simulate fuzz faults soak mutants bench policies peers test chart chart-tools chart-files image release release-check release-prepare docs docs-pages coverage lint format lock clean

help: install ## prepare .venv/bin/retrain-receiver and list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/.installed ## make the virtual environment with locked, hashed dependencies

.venv/.installed: requirements/dev.txt pyproject.toml
	@echo "Preparing .venv (once; about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The kfp SDK pins requests and urllib3 exactly; it never shares the service's environment.
.venv-kfp/.installed: requirements/kfp-local.txt
	@echo "Preparing .venv-kfp for local pipelines (once; about a minute) ..."
	@$(PYTHON) -m venv .venv-kfp
	@.venv-kfp/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/kfp-local.txt
	@touch $@

# Atheris has wheels for some Pythons on Linux only; it never shares an environment with the service.
.venv-fuzz/.installed: requirements/fuzz.txt
	@echo "Preparing .venv-fuzz for the fuzzer (once; half a minute) ..."
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/fuzz.txt
	@touch $@

# The mutation tester copies what it breaks into mutants/ and keeps there what it found.
.venv-mutants/.installed: requirements/mutants.txt
	@echo "Preparing .venv-mutants for the mutation tester (once; a minute) ..."
	@$(PYTHON) -m venv .venv-mutants
	@.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/mutants.txt
	@touch $@

demo: .venv/.installed .venv-kfp/.installed ## watch an alert become one retraining run (ARGS=--once ends by itself)
	@$(BIN)/retrain-receiver demo $(ARGS)

lab: .venv/.installed .venv-kfp/.installed ## five tenants: two recover after one run each, a third is given up
	@$(BIN)/python examples/lab/lab.py $(ARGS)

example-environments: .tools/drift-detector/.installed .tools/mlflow/.installed .tools/github-tests/.installed .tools/notebooks/.installed ## evidently, MLflow, a team's tests and Jupyter, for examples and their tests (minutes)

newest-alertmanager: .tools/alertmanager ## build it from the Go module proxy, for the tests that ask a real one (Go 1.26)

.tools/alertmanager: scripts/newest_alertmanager.py
	@$(PYTHON) scripts/newest_alertmanager.py

.tools/drift-detector/.installed: examples/drift-detector/requirements.txt
.tools/mlflow/.installed: examples/pipelines/requirements-mlflow.txt
.tools/github-tests/.installed: examples/github/tests/requirements.txt
.tools/notebooks/.installed: examples/notebooks/requirements.txt
.tools/ansible-rulebook/.installed: requirements/peers.txt
.tools/docs/.installed: requirements/docs.txt
.tools/release/.installed: requirements/release.txt
# openapi-python-client wants an older typer than the service's.
.tools/openapi-client/.installed: requirements/openapi-client.txt
.tools/drift-detector/.installed .tools/mlflow/.installed .tools/github-tests/.installed .tools/notebooks/.installed .tools/ansible-rulebook/.installed .tools/openapi-client/.installed .tools/docs/.installed .tools/release/.installed:
	@echo "Preparing $(@D) ..."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

simulate: .venv/.installed ## live through SEEDS=5000 seeded histories; SEED=17 tells one story
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),5000)) $(ARGS)

faults: .venv/.installed ## kill, cut, fill and restart real processes, for hours (ARGS="--only kills-sqlite --count 100")
	@$(BIN)/python -m tests.faults $(ARGS)

soak: .venv/.installed ## half an hour of mixed load: nothing may swell or fail (ARGS="--minutes 2 --replicas 3")
	@$(BIN)/python -m tests.soak $(ARGS)

fuzz: .venv/.installed .venv-fuzz/.installed ## RUNS=500000 fuzzed notifications, then 5,000 generated requests (EXAMPLES=120 of each kind)
	@.venv-fuzz/bin/python -m tests.fuzz.seeds .fuzz
	@.venv-fuzz/bin/python -m tests.fuzz.notifications -runs=$(or $(RUNS),500000) -max_len=8192 -artifact_prefix=.fuzz- .fuzz
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),120) $(PYTEST) -q tests/integration/test_generated_requests.py

mutants: .venv-mutants/.installed ## break core and flows in small ways that a test should see (hours; goes on where it was; ARGS=receiver.core.cooldowns*)
	@.venv-mutants/bin/mutmut run $(ARGS)
	@.venv-mutants/bin/mutmut results --all true | $(PYTHON) scripts/mutant_figures.py

bench: .venv/.installed ## measure the ratios of docs/performance.md (needs wrk; ARGS="--only webhook")
	@$(BIN)/python -m bench $(ARGS)

policies: .venv/.installed ## what rules cost in worlds of drifting models, divided by a clairvoyant oracle (a minute)
	@$(BIN)/python -m bench.policies $(ARGS)

peers: .venv/.installed .tools/ansible-rulebook/.installed ## ask other programs the same questions (Debian's webhook, curl, jq, wrk, default-jre-headless)
	@$(BIN)/python -m bench.peers $(ARGS)

test: .venv/.installed .venv-kfp/.installed .tools/openapi-client/.installed ## run the tests
	@$(PYTEST) $(ARGS)

chart: .venv/.installed chart-tools ## lint, render and validate the chart with helm 3 and 4 (with KUBECONFIG: install it)
	@$(PYTEST) tests/chart $(ARGS)

chart-tools: .venv/.installed
	@$(BIN)/python scripts/chart_tools.py

chart-files: .venv/.installed ## copy rules and dashboards into the chart, and write its README's table of values
	@$(BIN)/python scripts/chart_files.py

image: ## build the image without a registry, run it locked down (root; minutes; ARGS=kfp-local builds both, ARGS=example that of the pipeline)
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/image-test $(ARGS)

release: .venv/.installed .tools/release/.installed chart-tools ## build, check and sign what is published (VERSION=1.2.3 KEY=FILE FAULTS=REPORT ARGS=--no-image; root)
	@$(BIN)/python -m release $(if $(VERSION),--version $(VERSION)) $(if $(KEY),--key $(KEY)) $(addprefix --faults ,$(FAULTS)) $(ARGS)

release-check: .venv/.installed .tools/release/.installed chart-tools ## the same with HEAD, a key that is thrown away, and no image (a minute)
	@$(BIN)/python -m release --dry-run $(ARGS)

release-prepare: .venv/.installed ## write VERSION=1.2.3 wherever one is named, and the changelog's heading
	@$(BIN)/python -m release.versions $(VERSION) --date $$(date -I)

# Not `--quiet`, which hides the warnings from `--strict` too. What is switched off advertises a successor.
docs: .tools/docs/.installed ## build the documentation site into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=true .tools/docs/bin/mkdocs build --strict

docs-pages: .venv/.installed ## write docs/commands.md and docs/http-api.md from the code
	@$(BIN)/python scripts/commands_page.py
	@$(BIN)/python scripts/http_api_page.py

coverage: .venv/.installed .tools/openapi-client/.installed ## branch coverage of core and flows, which must be whole
	@$(PYTEST) -q --cov --cov-branch --cov-report= tests/unit tests/integration
	@$(BIN)/coverage report --include='receiver/core/*,receiver/flows/*' --fail-under=100

lint: .venv/.installed ## ruff, mypy, import-linter, deptry
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry --no-ansi receiver

format: .venv/.installed ## let ruff write what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock: ## write requirements/*.txt anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q pyproject.toml --extra postgresql -o requirements/runtime.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header -q pyproject.toml --extra postgresql --group dev -o requirements/dev.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/kfp-local.in -o requirements/kfp-local.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/build.in -o requirements/build.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/chart.in -o requirements/chart.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/peers.in -o requirements/peers.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/openapi-client.in -o requirements/openapi-client.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/docs.in -o requirements/docs.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q requirements/release.in -o requirements/release.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/model-server/requirements.in -c requirements/kfp-local.txt -o examples/model-server/requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/model-server/requirements-exporter.in -o examples/model-server/requirements-exporter.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/drift-detector/requirements.in -o examples/drift-detector/requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/pipelines/requirements-mlflow.in -c requirements/kfp-local.txt -o examples/pipelines/requirements-mlflow.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/github/tests/requirements.in -c requirements/kfp-local.txt -o examples/github/tests/requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q examples/notebooks/requirements.in -o examples/notebooks/requirements.txt
	cp requirements/kfp-local.txt examples/pipelines/requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q pyproject.toml requirements/fuzz.in -c requirements/runtime.txt -o requirements/fuzz.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header -q pyproject.toml requirements/mutants.in --extra postgresql -c requirements/dev.txt -o requirements/mutants.txt

clean: ## remove what was made here
	rm -rf .venv .venv-kfp .venv-fuzz .venv-mutants mutants .tools .demo .lab .lab-* .image site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
