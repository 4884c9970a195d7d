# Each target works as the first command on a fresh clone.

PYTHON ?= python3
PYTHON_OLDEST ?= python3.9
# Any torch from 2.4 on will do. Where the index serves CUDA builds only, name a CPU build:
#   make test TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH  ?= torch==2.13.0
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-oldest lint format bench bench-verdict bench-faults clean

demo: $(READY)  ## the whole way on a small real project
	$(BIN)/torchproof demo

test: $(READY) $(VENV)/dvc  ## every test; those that need a docker engine where there is one
	$(BIN)/pytest -n 2 -m "not docker"
	$(BIN)/pytest -m docker

# Left out: what asks for packages that have no release for that Python, or for the action's side.
OLDEST := $(addprefix tests/,adapters behaviour contracts data proofs record synthetic testing)
NEWER  := tests/data/test_dvc_itself.py tests/testing/test_shapes.py \
          tests/testing/test_fingerprinting_trained.py

test-oldest: $(VENV)/oldest  ## the test side with the oldest Python, torch and pytest it promises
	$</bin/python -m pytest -n 2 $(OLDEST) $(addprefix --ignore=,$(NEWER))

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

$(VENV)/oldest: requirements/oldest.txt
	$(PYTHON_OLDEST) -m venv --clear $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$@/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
