# Every target does its own set-up. VENV= puts the environment elsewhere; PYTHON= picks the interpreter.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
UV := $(BIN)/uv
PACKAGES := models worker trainer

.DEFAULT_GOAL := help
.PHONY: help setup setup-worker demo test faults soak bench check fix kafka models series comparison leak results-table recording lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.worker: requirements/worker.txt pyproject.toml | $(BIN)/uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/worker.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/uv
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.worker

setup: $(VENV)/.dev ## everything, in .venv/
setup-worker: $(VENV)/.worker ## what running the worker needs, in .venv/

demo: $(VENV)/.worker ## a simulated line through a whole worker, live, one minute
	$(BIN)/worker demo

test: $(VENV)/.dev ## every test but the longest, real Apache Kafka among them
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not extended" $(ARGS)

KIND ?= extended or not extended
faults: $(VENV)/.dev ## workers killed, put to sleep and cut off on a real Apache Kafka: nothing lost, nothing twice
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "($(KIND)) and not alone" $(ARGS) tests/faults
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "($(KIND)) and alone" $(ARGS) tests/faults || test $$? -eq 5 # not every kind has such

check: $(VENV)/.dev ## format, lint, types, import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(VENV)/.dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The seed of each architecture is the one of best validation ROC-AUC in the series; a test holds the bundles to that.
# Look-alikes are far denser on these lines than on a caster: one false alert a day here is less than one a week there.
RELEASE := --data data/line-v1 --set device=cpu --set threads=1 --set alert.sticker.false_per_strand_day=1 \
  --version 2 --force
models: data/line-v1/dataset.json data/natural/dataset.json ## the best bundle of each architecture and its evaluation anew
	{ $(BIN)/trainer train --recipe cnn_lstm --set seed=0 $(RELEASE) --current --out models/sequence/casting-cnn-lstm && \
	  $(BIN)/trainer train --recipe lstm --set seed=2 $(RELEASE) --out models/sequence/casting-lstm; } & others=$$!; \
	$(BIN)/trainer train --recipe attention_lstm --set seed=4 $(RELEASE) \
	  --out models/sequence/casting-attention-lstm; attention=$$?; wait $$others && exit $$attention
	for name in cnn-lstm lstm attention-lstm; do \
	  $(BIN)/trainer evaluate --data data/line-v1 --bundle casting-$$name \
	    --with models/sequence/evaluation/line-v1 --out models/sequence/evaluation/casting-$$name || exit; done
	$(BIN)/trainer evaluate --data data/natural --bundle current --split all \
	  --out models/sequence/evaluation/casting-cnn-lstm

data/line-v1/dataset.json: | $(VENV)/.dev
	$(BIN)/trainer simulate --hours 100 --strands 8 --seed 7 --out data/line-v1

# Eight strand-weeks with everything as seldom as on a caster: false alerts are counted here.
data/natural/dataset.json: | $(VENV)/.dev
	$(BIN)/trainer simulate --natural --hours 172 --strands 8 --seed 11 --out data/natural

SERIES := --set device=cpu --set threads=1 --weights runs/line-v1/weights --runs models/sequence/evaluation/line-v1/runs.jsonl
series: data/line-v1/dataset.json ## five seeds of each architecture, half an hour; goes on where it stopped
	$(BIN)/trainer series --data data/line-v1 --recipe cnn_lstm --recipe lstm $(SERIES) & \
	$(BIN)/trainer series --data data/line-v1 --recipe attention_lstm $(SERIES); wait

# Sequence models against baselines: the networks of `make series` and their answers are taken from runs/ where they are
# there. Profile it on a quiet machine.
EVALUATION := models/sequence/evaluation/line-v1
comparison: data/line-v1/dataset.json ## the comparison with baselines, and the report of the default bundle; hours at first
	$(BIN)/trainer compare --data data/line-v1 --out $(EVALUATION) --weights runs/line-v1/weights \
	  --traces runs/line-v1/traces --trials 6 --set device=cpu --set threads=1 \
	  --set alert.sticker.false_per_strand_day=1
	$(BIN)/trainer explain --data data/line-v1 --bundle current --out $(EVALUATION)
	$(BIN)/trainer profile --data data/line-v1 --bundle current --runs $(EVALUATION)/runs.jsonl --out $(EVALUATION)
	$(BIN)/trainer evaluate --data data/line-v1 --bundle current --out $(EVALUATION) \
	  --with $(EVALUATION) --with models/sequence/evaluation/casting-cnn-lstm
	$(MAKE) results-table

leak: data/line-v1/dataset.json ## twenty networks taught shuffled labels, which must know nothing: half an hour, one processor
	$(BIN)/trainer leak --data data/line-v1 --recipe lstm --shuffles 20 --set num_epochs=1 --set device=cpu \
	  --set threads=1 --json > data/leak.json
	mv data/leak.json $(EVALUATION)/leak.json

results-table: $(VENV)/.dev ## the table of results in README.md anew, from the comparison's metrics.json
	$(BIN)/python -m trainer.evaluation.comparison.results_table models/sequence/evaluation/line-v1/metrics.json README.md

recording: $(VENV)/.dev ## the recorded line of the demo anew
	$(BIN)/trainer simulate --recording models/recordings/line.npz --force

SEEDS ?= 5
SECONDS ?= 30
LONG ?= 0
soak: $(VENV)/.dev ## faults by the hundred, and the table of what came of them: tests/faults/RESULTS.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/soak.py --seeds $(SEEDS) --seconds $(SECONDS) --long $(LONG) $(ARGS)

bench: $(VENV)/.dev ## how fast it is, as ratios: tests/bench/RESULTS.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/run.py

kafka: $(VENV)/.dev ## a real Apache Kafka in the foreground, on 127.0.0.1:9092 if that is free
	$(BIN)/python -m worker.brokers.apache_kafka

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: | $(BIN)/uv ## compile requirements/ anew after a change of the dependencies in pyproject.toml
	$(COMPILE) pyproject.toml --group build -o requirements/worker.txt
	$(COMPILE) pyproject.toml --extra trainer --extra broker --extra avro --group build --group dev -o requirements/dev.txt

clean: ## forget data, caches and builds; keeps .venv/
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
