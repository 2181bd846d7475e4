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

# MODEL=X DATASET=Y OUT=F ARGS="--more options" become options of the command.
with = $(if $(MODEL),--model "$(MODEL)") $(if $(DATASET),--dataset "$(DATASET)")
lake = --lake "$(LAKE)"

# ---- commands
.PHONY: demo extract probe patch steer diagnose compare baseline study report figures explore publish validate status

demo validate status: $(VENV)/.installed
	$(RUN) $@ $(lake) $(ARGS)

extract probe patch steer diagnose compare: $(VENV)/.installed
	$(RUN) $@ $(lake) $(with) $(ARGS)

baseline: $(VENV)/.installed
	$(RUN) $@ $(lake) --dataset "$(DATASET)" --architecture "$(ARCHITECTURE)" $(ARGS)

study: $(VENV)/.installed
	$(RUN) $@ "$(FILE)" $(if $(filter-out lakehouse,$(LAKE)),$(lake)) $(ARGS)

report: $(VENV)/.installed
	$(RUN) $@ $(lake) $(with) --out "$(or $(OUT),report.html)" $(ARGS)

figures: $(VENV)/.installed
	$(RUN) $@ $(lake) $(with) --out "$(or $(OUT),figures)" $(ARGS)

# Pages about a lake, or with FILE=marts.duckdb about a published file, for browsers of this machine.
explore: $(VENV)/.exploring
	$(RUN) $@ $(if $(FILE),"$(FILE)",$(lake)) $(ARGS)

publish: $(VENV)/.installed
	$(RUN) $@ $(lake) --out "$(or $(OUT),published)" $(ARGS)

# ---- the marts in real BI tools and in other languages, held against `layerhouse sql`; their
# screenshots need Chromium
.PHONY: bi-superset bi-evidence bi-clients

bi-superset: $(VENV)/.installed $(SUPERSET)/.installed
	$(SUPERSET)/bin/python -m bi.superset.run --layerhouse "$(RUN)" $(lake) \
	    --out "$(or $(OUT),superset.png)" $(ARGS)

bi-evidence: $(VENV)/.developing
	$(BIN)/python -m bi.evidence.run --layerhouse "$(RUN)" $(lake) \
	    --out "$(or $(OUT),evidence.png)" $(ARGS)

bi-clients: $(VENV)/.developing
	$(BIN)/python -m bi.clients.run --layerhouse "$(RUN)" $(lake) $(ARGS)

# ---- what a clean clone must pass (.ci/run)
.PHONY: lint types site verify-models test

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint sql analysis bi layerhouse tests

types: $(VENV)/.developing
	$(BIN)/mypy

# The documentation as a site, in build/site. A link to nothing, a page in no list or a docstring that
# cannot be shown is an error; links out of the repository are not followed.
site: $(VENV)/.documented
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --keep-going \
	    --doctree-dir build/doctrees docs build/site
	@echo "build/site/index.html"

# The real architectures of all models known by name, without weights, against the registry.
verify-models: $(VENV)/.installed
	$(RUN) models verify --all

# One process per core, each with one thread: more of either only wait for each other.
test: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" --numprocesses auto --dist loadfile $(ARGS)

# ---- tests that take long, or need more than Python
.PHONY: test-slow tutorials test-wheel test-storage test-delta test-cluster test-cuda test-transformers \
        soak soak-trust soak-faults soak-kills self-test

test-slow: $(VENV)/.developing
	$(BIN)/pytest -m slow $(ARGS)

# The three tutorials as a newcomer types them, in an environment of their own; fetches what it installs.
tutorials: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.docs.tutorials $(ARGS)

# The wheel in fresh environments outside the repository, bare and with all extras; fetches those.
test-wheel: $(VENV)/.developing
	$(BIN)/pytest tests/packaging $(ARGS)

# Lakes in a bucket, on a real S3-compatible server that the tests start: moto's, in an environment of
# its own because it wants an older python-dateutil.
test-storage: $(VENV)/.developing $(MOTO)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster/test_storage.py $(ARGS)

# The lake's Delta tables in DuckDB's delta extension, which only an older DuckDB has.
test-delta: $(VENV)/.developing $(DELTA)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster/test_delta.py tests/warehouse/delta $(ARGS)

# On a real Ray and a real Spark (which needs a Java); `make test` skips what is not installed.
test-cluster: $(VENV)/.clustered $(MOTO)/.installed
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/cluster $(ARGS)

# On a machine with a CUDA device: every family there against the same on the CPU.
test-cuda: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/extract/cuda tests/extract/reading/test_to_host.py $(ARGS)

# What depends on transformers, on another release: VERSION=oldest (as pyproject allows), newest or x.y.z.
test-transformers: $(VENV)/.developing
	.ci/transformers "$(VERSION)" $(ARGS)

# Thousands of flipped bits and fuzzed records, a kill and a full disk at every step of every command
# that writes, then 200 processes killed at random moments;
# `make test` and `make test-slow` run short forms. Each part is a target of its own, with ARGS:
# names of commands and --every N for soak-faults, --kills and --seed for soak-kills.
FLIPS := 2000
EXAMPLES := 5000
soak: soak-trust soak-faults soak-kills
soak-trust: $(VENV)/.developing
	LAYERHOUSE_TRUST_FLIPS=$(FLIPS) LAYERHOUSE_TRUST_EXAMPLES=$(EXAMPLES) OMP_NUM_THREADS=1 \
	    $(BIN)/pytest -s tests/trust $(ARGS)
soak-faults: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults $(ARGS)
soak-kills: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak $(ARGS)

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

# ---- figures of docs/performance.md, as ratios measured side by side in one run
.PHONY: bench bench-extract bench-sql bench-writer bench-gpu bench-real

bench: $(VENV)/.developing
	$(BIN)/python -m bench.bench_extract $(ARGS)
	$(BIN)/python -m bench.bench_probes --full
	$(BIN)/python -m bench.bench_probes --paper
	$(BIN)/python -m bench.bench_replies
	$(BIN)/python -m bench.bench_patching
	$(BIN)/python -m bench.bench_steering

bench-extract bench-sql: bench-%: $(VENV)/.developing
	$(BIN)/python -m bench.bench_$* $(ARGS)

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

# ---- what is made and lies in the repository
.PHONY: docs tiny-model

# The data dictionary from the catalogue. The cookbook's results need a demo's lake as well:
# python -m tests.docs.regenerate LAKE.
docs: $(VENV)/.installed
	$(BIN)/python -m tests.docs.dictionary

# The shipped tiny model, from the digits' train split; minutes on two cores.
tiny-model: $(VENV)/.installed
	$(BIN)/python -m extract.training.tiny --dataset digits --out extract/models/tiny-digits

# ---- environments
EXTRAS_developing := all,dev
EXTRAS_exploring := all,explore
EXTRAS_documented := all,dev,docs
EXTRAS_clustered := all,dev,ray,spark

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

$(VENV)/.documented $(VENV)/.clustered: $(VENV)/.developing
$(VENV)/.developing $(VENV)/.exploring $(VENV)/.documented $(VENV)/.clustered: $(VENV)/.%: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS_$*)]"
	touch $@

$(SUPERSET)/.installed: bi/superset/requirements.txt
$(MOTO)/.installed: tests/cluster/moto.txt
$(DELTA)/.installed: tests/cluster/delta.txt
$(SUPERSET)/.installed $(MOTO)/.installed $(DELTA)/.installed: %/.installed:
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --requirement $<
	touch $@

.PHONY: clean
clean:
	rm -rf $(VENV) $(SUPERSET) $(MOTO) $(DELTA) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
