# Every target sets up what it needs: a .venv with the versions of constraints.txt.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAKE ?= lakehouse
RUN := $(BIN)/layerhouse
SUPERSET := .venv-superset
MOTO := .venv-moto
DELTA := .venv-delta
FLIPS := 2000
EXAMPLES := 5000

# MODEL=X DATASET=Y OUT=F ARGS="--more options" become options of the command.
with = $(if $(MODEL),--model "$(MODEL)") $(if $(DATASET),--dataset "$(DATASET)")
lake = --lake "$(LAKE)"

.PHONY: demo study extract probe baseline patch steer diagnose compare report figures validate publish status \
        test test-slow test-cluster test-cuda soak soak-trust soak-faults soak-kills self-test lint types bench bench-sql bench-extract bench-writer bench-gpu bench-real tiny-model docs clean \
        bi-superset bi-evidence bi-clients

demo: $(VENV)/.installed
	$(RUN) demo $(lake) $(ARGS)

extract probe patch steer diagnose compare: $(VENV)/.installed
	$(RUN) $@ $(lake) $(with) $(ARGS)

baseline: $(VENV)/.installed
	$(RUN) baseline $(lake) --dataset "$(DATASET)" --architecture "$(ARCHITECTURE)" $(ARGS)

study: $(VENV)/.installed
	$(RUN) study "$(FILE)" $(if $(filter-out lakehouse,$(LAKE)),$(lake)) $(ARGS)

report: $(VENV)/.installed
	$(RUN) report $(lake) $(with) --out "$(or $(OUT),report.html)" $(ARGS)

figures: $(VENV)/.installed
	$(RUN) figures $(lake) $(with) --out "$(or $(OUT),figures)" $(ARGS)

# Pages about a lake, or with FILE=marts.duckdb about a published file, for browsers of this machine.
.PHONY: explore
explore: $(VENV)/.exploring
	$(RUN) explore $(if $(FILE),"$(FILE)",$(lake)) $(ARGS)

publish: $(VENV)/.installed
	$(RUN) publish $(lake) --out "$(or $(OUT),published)" $(ARGS)

# The marts in real BI tools, held against `layerhouse sql`; their screenshots need Chromium.
bi-superset: $(VENV)/.installed $(SUPERSET)/.installed
	$(SUPERSET)/bin/python -m bi.superset.run --layerhouse "$(RUN)" $(lake) \
	    --out "$(or $(OUT),superset.png)" $(ARGS)

bi-evidence: $(VENV)/.developing
	$(BIN)/python -m bi.evidence.run --layerhouse "$(RUN)" $(lake) \
	    --out "$(or $(OUT),evidence.png)" $(ARGS)

bi-clients: $(VENV)/.developing
	$(BIN)/python -m bi.clients.run --layerhouse "$(RUN)" $(lake) $(ARGS)

validate status: $(VENV)/.installed
	$(RUN) $@ $(lake) $(ARGS)

# One process per core, each with one thread: more of either only wait for each other.
test: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses auto --dist loadfile $(ARGS)

test-slow: $(VENV)/.developing
	$(BIN)/pytest -m slow $(ARGS)

# On a real Ray and a real Spark (which needs a Java); `make test` skips what is not installed.
CLUSTER_EXTRAS := all,dev,ray,spark
test-cluster: $(VENV)/.clustered
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster $(ARGS)
.PHONY: test-storage
# Lakes in a bucket, on a real S3-compatible server that the tests start: moto's, in an environment of
# its own because it wants an older python-dateutil.
test-storage: $(VENV)/.developing $(MOTO)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster/test_storage.py $(ARGS)
test-cluster: $(MOTO)/.installed

.PHONY: test-delta
# The lake's Delta tables in DuckDB's delta extension, which only an older DuckDB has.
test-delta: $(VENV)/.developing $(DELTA)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster/test_delta.py tests/warehouse/delta $(ARGS)

.PHONY: test-wheel
# The wheel in fresh environments outside the repository, bare and with all extras; fetches those.
test-wheel: $(VENV)/.developing
	$(BIN)/pytest tests/packaging $(ARGS)

.PHONY: test-transformers verify-models
# What depends on transformers, on another release: VERSION=oldest (as pyproject allows), newest or x.y.z.
test-transformers: $(VENV)/.developing
	.ci/transformers "$(VERSION)" $(ARGS)

# The real architectures of all models known by name, without weights, against the registry.
verify-models: $(VENV)/.installed
	$(RUN) models verify --all

# Thousands of flipped bits and fuzzed records, a kill and a full disk at every step of every command
# that writes, then 200 processes killed at random moments;
# `make test` and `make test-slow` run short forms. Each part is a target of its own, with ARGS:
# names of commands and --every N for soak-faults, --kills and --seed for soak-kills.
soak: soak-trust soak-faults soak-kills
soak-trust: $(VENV)/.developing
	LAYERHOUSE_TRUST_FLIPS=$(FLIPS) LAYERHOUSE_TRUST_EXAMPLES=$(EXAMPLES) OMP_NUM_THREADS=1 \
	    $(BIN)/pytest -s tests/trust $(ARGS)
soak-faults: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults $(ARGS)
soak-kills: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak $(ARGS)

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint sql analysis bi layerhouse tests

types: $(VENV)/.developing
	$(BIN)/mypy

bench: $(VENV)/.developing
	$(BIN)/python -m bench.bench_extract $(ARGS)
	$(BIN)/python -m bench.bench_probes --full
	$(BIN)/python -m bench.bench_probes --paper
	$(BIN)/python -m bench.bench_replies
	$(BIN)/python -m bench.bench_patching
	$(BIN)/python -m bench.bench_steering

# On a machine with a CUDA device: every family there against the same on the CPU.
test-cuda: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/extract/cuda tests/extract/reading/test_to_host.py $(ARGS)

# The data dictionary from the catalogue. The cookbook's results need a demo's lake as well:
# python -m tests.docs.regenerate LAKE.
docs: $(VENV)/.installed
	$(BIN)/python -m tests.docs.dictionary

.PHONY: site
# The documentation as a site, in build/site. A link to nothing, a page in no list or a docstring that
# cannot be shown is an error; links out of the repository are not followed.
site: $(VENV)/.documented
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going \
	    --doctree-dir build/doctrees docs build/site
	@echo "build/site/index.html"

.PHONY: tutorials
# The three tutorials as a newcomer types them, in an environment of their own; fetches what it installs.
tutorials: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.docs.tutorials $(ARGS)

bench-sql: $(VENV)/.developing
	$(BIN)/python -m bench.bench_sql $(ARGS)

bench-extract: $(VENV)/.developing
	$(BIN)/python -m bench.bench_extract $(ARGS)

# What a 7B model holds of images, written by one thread and by two.
bench-writer: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.bench_writer $(ARGS)

# Extraction over the bare forward of a 7B model with random weights, on a GPU.
bench-gpu: $(VENV)/.developing
	$(BIN)/python -m bench.bench_real $(ARGS)

# The same of MedVLM-R1's architecture on two cores of a CPU; takes 6 GB of memory, and minutes.
bench-real: $(VENV)/.developing
	OMP_NUM_THREADS=2 $(BIN)/python -m bench.bench_real --model qwen2-vl-2b --device cpu \
	    --dtype bfloat16 --side 224 --batch-size 4 --images 16 --rounds 2 $(ARGS)

# The diagnosis' full bars: every fault injected, on the shipped tiny model and on tiny models trained
# on the real image sets where they are; resumable, minutes per model on two quiet cores.
IMAGES ?= ../shared/data
self-test: $(VENV)/.installed
	$(RUN) diagnose $(lake) --self-test --model tiny-digits --dataset digits $(ARGS)
	for set in bccd_cells nih_cxr_pneumonia; do \
	  test -d "$(IMAGES)/$$set" || continue; \
	  test -f build/tiny-$$set/config.json || \
	    $(BIN)/python -m extract.training.tiny --dataset "$(IMAGES)/$$set" $(lake) --out build/tiny-$$set || exit 1; \
	  $(RUN) diagnose $(lake) --self-test --model build/tiny-$$set --dataset "$(IMAGES)/$$set" $(ARGS) || exit 1; \
	done

# The shipped tiny model, from the digits' train split; minutes on two cores.
tiny-model: $(VENV)/.installed
	$(BIN)/python -m extract.training.tiny --dataset digits --out extract/models/tiny-digits

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev]"
	touch $@

$(VENV)/.exploring: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,explore]"
	touch $@

$(VENV)/.clustered: $(VENV)/.developing
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(CLUSTER_EXTRAS)]"
	touch $@

$(VENV)/.documented: $(VENV)/.developing
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev,docs]"
	touch $@

$(SUPERSET)/.installed: bi/superset/requirements.txt
	test -x $(SUPERSET)/bin/python || $(PYTHON) -m venv $(SUPERSET)
	$(SUPERSET)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(MOTO)/.installed: tests/cluster/moto.txt
	test -x $(MOTO)/bin/python || $(PYTHON) -m venv $(MOTO)
	$(MOTO)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(DELTA)/.installed: tests/cluster/delta.txt
	test -x $(DELTA)/bin/python || $(PYTHON) -m venv $(DELTA)
	$(DELTA)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(SUPERSET) $(MOTO) $(DELTA) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
