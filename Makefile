# VideoVault. `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run dev test test-quick test-cluster test-cluster-short check format audit sbom bench screenshots lock setup setup-dev oldest-pip clean
BIN := .venv/bin
OLDEST_PIP := .venv/oldest-pip
# Two for each core: tests wait for what they started.
TESTERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 )))
CLUSTER_SHORT := $(addprefix tests/cluster/,"test_cluster.py::test_no_video_is_lost_doubled_paid_twice_or_stuck[postgres]" \
	test_alerts.py test_operating.py test_misconfigured_workers.py)
export REFLEX_USE_SYSTEM_BUN := 1
export REFLEX_TELEMETRY_ENABLED := false
export REFLEX_CHECK_LATEST_VERSION := false
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

run: setup ## Set everything up and start VideoVault
	@exec $(BIN)/python -m videovault run

dev: setup ## The same with hot reload
	@exec $(BIN)/reflex run --env preview

test: setup-dev oldest-pip ## Run all tests but those of several machines, the browser journeys too
	@scripts/chromium.sh
	@scripts/services.sh
	$(BIN)/python -m pytest -n $(TESTERS) --no-loadscope-reorder -m "not cluster"

test-quick: setup-dev ## The tests for daily work: without a browser, PostgreSQL, and what starts or kills processes
	$(BIN)/python -m pytest -n $(TESTERS) --no-loadscope-reorder -m "not journey and not process and not thorough and not postgres and not cluster"

test-cluster: setup-dev ## Replicas, workers, PostgreSQL, Redis and nginx together, under outages and kills
	@scripts/chromium.sh
	@scripts/services.sh
	$(BIN)/python -m pytest -m cluster tests/cluster

test-cluster-short: setup-dev ## The part of it for every day: 60 videos under faults, alert rules, probes, wrong settings (10 minutes)
	@scripts/services.sh
	$(BIN)/python -m pytest -m cluster $(CLUSTER_SHORT)

check: setup-dev ## Formatting, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_size.py
	@scripts/biome.sh check

format: setup-dev ## Format, and fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@scripts/biome.sh format

audit: setup-dev ## Ask PyPI for known vulnerabilities of what is installed (needs the network)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.txt

sbom: setup-dev ## Write sbom.cdx.json, a CycloneDX bill of materials of what is pinned
	$(BIN)/python -m scripts.sbom

bench: setup-dev ## Measure the transfer (ARGS="--quick --only a,c")
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: setup-dev ## Renew docs/images from the running product
	@scripts/chromium.sh
	$(BIN)/python -m scripts.screenshots

lock: setup-dev oldest-pip ## Write requirements*.txt from requirements*.in (ARGS="--upgrade" or "--frontend")
	@scripts/lock.sh $(ARGS)
	$(BIN)/python -m pytest -q tests/setup

setup:
	@scripts/setup.sh run requirements.txt

setup-dev: setup
	@scripts/setup.sh dev requirements.txt requirements-dev.txt

oldest-pip: setup-dev
	@cmp -s tests/setup/oldest-pip.txt $(OLDEST_PIP)/oldest-pip.txt || { rm -rf $(OLDEST_PIP) && \
		$(BIN)/python -m pip install -qq --no-deps --require-hashes --target $(OLDEST_PIP) -r tests/setup/oldest-pip.txt && \
		cp tests/setup/oldest-pip.txt $(OLDEST_PIP)/; }

clean: ## Remove what was built; keeps var/, where your videos are
	rm -rf .venv .web .web-build.* .states .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
