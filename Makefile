# Everything here works from a clean clone; `tools/install` fetches what is missing first.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test docs picture fixtures bench clean
MAKEFLAGS += --no-print-directory

PYTHON := .venv/bin/python
ARGS ?=

help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## install what is missing, then run the preset `standard` with a live view and a report
	@tools/install demo
	@.venv/bin/swarmrig run standard --report $(ARGS)

test: ## install what is missing, then run all tests (ARGS="..." goes to pytest)
	@tools/install test
	@$(PYTHON) -m pytest -n 4 -q --dist worksteal $(ARGS)

fixtures: ## have the guest of examples/trace-topology make its fixtures, in build/fixtures
	@tools/install test
	@.venv/bin/swarmrig fixtures generate examples/trace-topology/trace-topology.image.yml -o build/fixtures $(ARGS)

docs: ## make the pages of the reference anew, then the site of the documentation, in build/site
	@tools/install test
	@$(PYTHON) -m swarmrig.cli.reference_pages docs/reference
	@$(PYTHON) -m sphinx -q -W --keep-going -b html docs build/site
	@echo "build/site/index.html"

picture: ## make the picture of the README anew: a run of examples/two-rooms.swarmrig.yml
	@tools/install test
	@$(PYTHON) docs/picture.py docs

bench: ## measure: every line compares with a peer in the same run (ARGS="NAME ..." picks some)
	@tools/install test
	@$(PYTHON) -m bench $(ARGS)

DOCKER ?= docker
container: ## build the image `swarmrig` with docker (DOCKER=podman), and run the preset `smoke` in it without privileges
	@$(DOCKER) build -t swarmrig -f Containerfile .
	@$(DOCKER) run --rm --network none --cap-drop ALL --user "$$(id -u):$$(id -g)" swarmrig run smoke --output-dir /tmp/runs

clean: ## remove what was built or installed into this directory; runs/ stays
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis refnode/build \
		src/swarmrig/timebase/lockstep
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
