# Every target does its own set-up. VENV= puts the environment elsewhere; PYTHON= picks the interpreter.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
UV := $(BIN)/uv
PACKAGES := models worker trainer

.DEFAULT_GOAL := help
.PHONY: help setup setup-worker demo test bench check fix kafka models series recording lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.worker: requirements/worker.txt pyproject.toml | $(BIN)/uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/worker.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.worker

setup: $(VENV)/.dev ## everything, in .venv/
setup-worker: $(VENV)/.worker ## what running the worker needs, in .venv/

demo: $(VENV)/.worker ## a simulated line through a whole worker, live, one minute
	$(BIN)/worker demo

test: $(VENV)/.dev ## every test, real Apache Kafka among them
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 $(ARGS)

check: $(VENV)/.dev ## format, lint, types, import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(VENV)/.dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

models: $(VENV)/.dev ## the released bundle and its evaluation anew, about 5 minutes on two cores
	rm -rf data/models
	$(BIN)/trainer simulate --hours 18 --strands 8 --seed 1 \
	  --rate sticker=3 --rate film_fracture=2 --rate film_patch=1 --out data/models/line
	# Look-alikes are some twenty times as dense there as on a caster: four false alerts a day there are few here.
	$(BIN)/trainer train --data data/models/line --recipe tiny --set 'targets=["sticker"]' \
	  --set alert.sticker.false_per_strand_day=4 --out models/sequence/tiny-sticker --current --force
	$(BIN)/trainer evaluate --data data/models/line --bundle tiny-sticker \
	  --out models/sequence/evaluation/tiny-sticker
	$(BIN)/trainer simulate --hours 21 --strands 8 --seed 2 --out data/models/unseen
	$(BIN)/trainer evaluate --data data/models/unseen --bundle tiny-sticker --split all \
	  --out models/sequence/evaluation/tiny-sticker

data/line-v1/dataset.json: | $(VENV)/.dev
	$(BIN)/trainer simulate --hours 100 --strands 8 --seed 7 --out data/line-v1

SERIES := --set threads=1 --weights runs/line-v1/weights --runs models/sequence/evaluation/line-v1/runs.jsonl
series: data/line-v1/dataset.json ## five seeds of each architecture, about 50 minutes; goes on where it stopped
	$(BIN)/trainer series --data data/line-v1 --recipe cnn_lstm --recipe lstm $(SERIES) & \
	$(BIN)/trainer series --data data/line-v1 --recipe attention_lstm $(SERIES); wait

recording: $(VENV)/.dev ## the recorded line of the demo anew
	$(BIN)/trainer simulate --recording models/recordings/line.npz --force

bench: $(VENV)/.dev ## how fast it is, as ratios: tests/bench/RESULTS.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/run.py

kafka: $(VENV)/.dev ## a real Apache Kafka in the foreground, on 127.0.0.1:9092 if that is free
	$(BIN)/python -m worker.brokers.apache_kafka

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: | $(BIN)/uv ## compile requirements/ anew after a change of the dependencies in pyproject.toml
	$(COMPILE) pyproject.toml --group build -o requirements/worker.txt
	$(COMPILE) pyproject.toml --extra trainer --extra broker --group build --group dev -o requirements/dev.txt

clean: ## forget data, caches and builds; keeps .venv/
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
