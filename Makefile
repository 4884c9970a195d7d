# Each target works as the first command on a fresh clone.

PYTHON ?= python3
# Any torch from 2.4 on will do. Where the index serves CUDA builds only, name a CPU build:
#   make test TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch==2.13.0
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint format bench bench-verdict bench-faults clean

demo: $(READY)  ## the whole way on a small real project
	$(BIN)/torchproof demo

test: $(READY) $(VENV)/dvc  ## every test; those that need a docker engine where there is one
	$(BIN)/pytest -n 2 -m "not docker"
	$(BIN)/pytest -m docker

lint: $(READY)  ## style, types, and the walls between the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(READY)  ## the figures that README and docs state
	$(BIN)/python -m benchmarks.overhead

# Labelled real series, where there are some: make bench-verdict LABELLED="--data DIR"
bench-verdict: $(READY)  ## error rates, runs needed and false alarms of the statistics
	$(BIN)/uv venv --quiet --allow-existing $(VENV)/rivals
	$(BIN)/uv pip install --quiet --python $(VENV)/rivals apache-otava==0.8.0 git-bayesect==1.2
	$(BIN)/python -m benchmarks.verdict --write --rivals $(VENV)/rivals/bin/python $(LABELLED)

bench-faults: $(READY)  ## public bugs and their right twins, by tool
	$(BIN)/uv pip install --quiet --target $(VENV)/peers --no-deps torchtest pytest-torch
	PYTHONPATH=$(VENV)/peers $(BIN)/python -m benchmarks.faults --write

clean:
	rm -rf $(VENV)

# pip installs torch, because only pip knows where a machine keeps its own wheels; uv the rest.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv $(TORCH)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable ".[action,demo,dev]"
	touch $@

# The tests ask the real DVC, whose hundred packages stay in an environment of their own.
$(VENV)/dvc: | $(READY)
	$(BIN)/uv venv --quiet --python $(BIN)/python $@
	$(BIN)/uv pip install --quiet --python $@ dvc==3.67.1 || { rm -rf $@; exit 1; }
