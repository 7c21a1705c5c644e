# One word each; CI calls the same ones. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help ci demo demo-embedded demo-hashicorp words imgpipeline test test-infra check bench scale processes soak neighbour load coming-from their-tests faults hops servers images pythons docs reference pages browser vendor lock audit release clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STACK ?= embedded
RUNS ?= 5
JOBS ?= 1000000
CLIENTS ?= 2000
SLOTS ?= 64
DURATION ?= 1200
SOURCES := sdk cli api driver jobspecs tests

# bash, for `pipefail`: an installation that fails ends make, though its output goes through awk.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
# The versions that this commit was tested with, whatever was published since.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt --editable
define SHOW_PACKAGES
awk '/^Collecting / { sub(/[^A-Za-z0-9_.-].*/, "", $$2); printf " %s", $$2; fflush() } \
  /^Installing collected/ { printf "\n  unpacking ..."; fflush() } \
  /^ERROR|^WARNING/ { print "\n" $$0 } \
  END { print " done" }'
endef

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: demo-$(STACK) ## Run, break and compare a computation on a stack of its own; STACK=hashicorp: on Nomad

demo-embedded: $(VENV)/.users
	@$(BIN)/python examples/demo.py

# Real Consul, Vault, versitygw and Nomad.
demo-hashicorp: $(VENV)/.developers servers
	@$(BIN)/python examples/demo.py --stack hashicorp

imgpipeline: $(VENV)/.developers ## Make images in a pipeline of queues, on a stack of its own
	@$(BIN)/python examples/imgpipeline

words: $(VENV)/.users ## Put files, map over them and sort what jobs found, on a stack of its own
	@$(BIN)/python examples/words.py

test: $(VENV)/.developers servers images pythons ## Install what the tests need and run them all
	@# Hundreds of programs are started, also where the environment forbids them to keep bytecode.
	@$(BIN)/python -m compileall -q $(SOURCES)
	@$(BIN)/python -m tests.suite --durations 20

test-infra: $(VENV)/.developers servers images ## Test Terraform's modules, a deployment on a stand-in for AWS, and a cluster of node images
	@$(BIN)/python -m pytest --infra tests/infra tests/contract/test_queues.py

ci: check test test-infra ## Check and test everything: what a change has to pass

check: $(VENV)/.developers ## Style, types, import rules, start-up budget
	@echo "ruff";           $(BIN)/ruff check --quiet .
	@echo "ruff format";    $(BIN)/ruff format --quiet --check .
	@echo "mypy --strict";  $(BIN)/mypy --no-error-summary
	@echo "import-linter";  $(BIN)/lint-imports --no-cache | tail -n 3
	@echo "shape";          $(BIN)/python -m pytest --quiet --no-header tests/shape

bench: $(VENV)/.bench servers ## Measure the project beside its peers, in one run; RUNS=5
	@$(BIN)/python -m bench.environments
	@$(BIN)/python -m bench --runs $(RUNS) --history bench/history.jsonl
	@$(BIN)/python -m bench --runs 1 --only crons memory --contenders embedded hashicorp --json bench/results/crons.json
	@$(BIN)/python -m bench.transfers --runs $(RUNS)
	@$(BIN)/python -m bench.ports --runs $(RUNS)
	@$(BIN)/python -m bench.syncs --runs 1
	@$(BIN)/python -m bench.pages
	@$(BIN)/python -m bench.images --runs 1

scale: $(VENV)/.bench servers ## Measure many slots, clients, batches and jobs
	@$(BIN)/python -m bench.scale

processes: $(VENV)/.bench servers ## Measure what 1, 2 and 4 API processes cost each other
	@$(BIN)/python -m bench.processes

soak: $(VENV)/.bench $(if $(filter hashicorp,$(STACK)),servers) ## Run a million jobs and see that memory stays flat; STACK=hashicorp, JOBS=1000000
	@$(BIN)/python -m bench.soak --contender $(STACK) --jobs $(JOBS)

neighbour: $(VENV)/.bench $(if $(filter hashicorp,$(STACK)),servers) ## Measure what one account can do to the calls of another; STACK=hashicorp
	@$(BIN)/python -m bench.neighbour --contender $(STACK)

load: $(VENV)/.bench $(if $(filter hashicorp,$(STACK)),servers) ## Run mixed work of CLIENTS clients in SLOTS slots for DURATION seconds; STACK=hashicorp
	@$(BIN)/python -m bench.mixed --contender $(STACK) --clients $(CLIENTS) --slots $(SLOTS) --seconds $(DURATION)

faults: $(VENV)/.developers $(if $(filter hashicorp,$(STACK)),servers) ## Run 10,000 jobs among 500 faults, and kill everything among 10,000 messages; STACK=hashicorp
	@$(BIN)/python -m tests.faults.campaign --stack $(STACK) --report bench/results/faults-$(STACK).jsonl
	@QUEUE_MESSAGES=10000 $(BIN)/python -m pytest -q -s --stack $(STACK) tests/faults/test_queue_handlers.py

coming-from: $(VENV)/.bench ## Run the programs of others that docs/coming-from shows, each with its own packages
	@$(BIN)/python -m bench.coming_from

their-tests: $(VENV)/.developers ## Run CPython's tests of executors and joblib's of backends with ours in their place
	@$(BIN)/python -m bench.their_tests

hops: $(VENV)/.bench ## Measure where the time of one call goes, and the floor of each hop
	@$(BIN)/python -m bench.hops

servers: $(BIN)/python ## Get the real servers the tests run against (built once, then cached)
	@$(BIN)/python tests/servers/build.py

images: $(VENV)/.developers ## Build the image that slots run in, where they are isolated (once, then cached)
	@$(BIN)/python -m tests.servers.image
	@$(BIN)/python -m tests.servers.run_registry

pythons: $(VENV)/.developers ## Fetch Python 3.14 of Debian for tests/corpus, where it can be had (once, then cached)
	@$(BIN)/python -m tests.corpus.debian_python

docs: $(VENV)/.developers ## Run every example in the documentation
	@$(BIN)/python -m pytest --no-header docs tests/docs

reference: $(VENV)/.developers ## Write docs/reference anew from commands and docstrings
	@$(BIN)/python docs/reference/make_cli.py
	@$(BIN)/python docs/reference/make_cloud.py

pages: $(VENV)/.developers ## Write the terminal pages that tests compare, anew from commands
	@$(BIN)/python -m tests.unit.cli.terminal_pages

browser: $(VENV)/.browser ## Use the web pages in a real Chromium, as people do
	@$(BIN)/python -m pytest --browser tests/browser

vendor: $(VENV)/.developers ## Fetch the scripts of the web pages from npm, at the versions in api/vendored.py
	@$(BIN)/python api/vendored.py

lock: $(VENV)/.developers ## Take the newest versions of all packages into constraints.txt, for everybody who runs make
	@$(BIN)/python -m uv pip compile pyproject.toml --all-extras --universal --upgrade --quiet \
	  --no-header --no-annotate --no-emit-index-url --output-file constraints.txt

audit: $(VENV)/.release ## Look up known weaknesses of the packages in constraints.txt
	@$(BIN)/python -m pip_audit --strict --requirement constraints.txt --no-deps --disable-pip --progress-spinner off

release: $(VENV)/.release ## Build the files of a release into dist/; SIGN_WITH=KEY signs them
	@$(BIN)/python release/build.py $(addprefix --sign-with ,$(SIGN_WITH))

clean: ## Remove the environment and what tools left behind
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results

# Each environment is a superset of the one before; a stamp says what is installed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PiCloud needs Python 3.11 or newer; say which with make PYTHON=python3.11")'
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.users: $(BIN)/python pyproject.toml constraints.txt
	@printf "Installing picloud into $(VENV), about 20 s:"
	@$(INSTALL) '.[cli,server]' | $(SHOW_PACKAGES)
	@touch $@

$(VENV)/.developers: $(VENV)/.users
	@printf "Installing what tests and checks need:"
	@$(INSTALL) '.[cli,server,hashicorp,test,check]' | $(SHOW_PACKAGES)
	@touch $@

$(VENV)/.browser: $(VENV)/.developers api/vendored.py
	@printf "Installing what tests in a browser need:"
	@$(INSTALL) '.[cli,server,hashicorp,test,check,browser]' | $(SHOW_PACKAGES)
	@$(BIN)/python api/vendored.py $(VENV)
	@touch $@

$(VENV)/.release: $(VENV)/.developers
	@printf "Installing what a release needs:"
	@$(INSTALL) '.[cli,server,hashicorp,test,check,release]' | $(SHOW_PACKAGES)
	@touch $@

$(VENV)/.bench: $(VENV)/.users
	@printf "Installing what measuring needs:"
	@$(INSTALL) '.[cli,server,hashicorp,bench]' | $(SHOW_PACKAGES)
	@touch $@
