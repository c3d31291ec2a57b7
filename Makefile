# The two commands of a new user are `make demo` and `make test`; each sets up .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_CORPUS ?= data/demo
DEMO_RUN ?= runs/demo
# Two workers on two cores; more where there are more.
TEST_WORKERS ?= auto
TEST_EXTRAS := simulate,vocode,search,media,serve,scale,export,tflite,test
# `make test CONSTRAINTS=` takes the newest versions of everything.
CONSTRAINTS ?= -c constraints.txt
# Of `make fuzz`; KINDS such as audio,kills (default: all).
CASES ?= 1000
SEED ?= 1
KINDS ?=

.PHONY: docs help install venv-module demo test test-wheel test-web web fuzz lint typecheck constraints sbom test-lowest clean

help:
	@echo "make demo         write the synthetic demo corpus, train on it, evaluate, name the report"
	@echo "make test         run the whole test suite"
	@echo "make test-lowest  run it on the lowest versions that pyproject.toml allows"
	@echo "make test-wheel   try commands and Python interface from the wheel, in empty environments"
	@echo "make web          build the page of the command web (needs Node.js 20.19 or newer)"
	@echo "make test-web     lint, types and unit tests of the page"
	@echo "make fuzz         run commands on damaged input (CASES=3000 SEED=7 KINDS=audio,kills)"
	@echo "make lint         ruff: rules and format"
	@echo "make typecheck    mypy over package, tests, configs, benchmarks and fuzzer"
	@echo "make docs         build the pages as a site in site/"
	@echo "make constraints  resolve the newest versions and pin them in constraints.txt"
	@echo "make sbom         list, with licences, what the wheel needs and what its page holds, in sbom/"
	@echo "make clean        remove .venv, the demo corpus and the demo run"
	@echo "PYTHON=python3.12 make test    use another interpreter (3.11 or newer)"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1); set PYTHON=" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory venv-module
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[$(TEST_EXTRAS),docs,dev]'
	@touch $@

# Debian splits this part of Python off; root on such a machine gets it, others are told.
venv-module:
	@test "$$(id -u)" = 0 && command -v apt-get >/dev/null || \
	  { echo "error: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 2; }
	apt-get update -qq && apt-get install -y -qq python3-venv

demo: install
	$(BIN)/python -m rawnet_jax demo-corpus --output $(DEMO_CORPUS)
	$(BIN)/python train.py --config configs/conv1d_demo.py --workdir $(DEMO_RUN) --config.data.root=$(DEMO_CORPUS)
	$(BIN)/python evaluate.py --workdir $(DEMO_RUN)

test: install
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

# uv resolves to the floors of direct dependencies, which pip cannot.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[$(TEST_EXTRAS)]'
	.venv-lowest/bin/python -m pytest -n $(TEST_WORKERS) --dist worksteal

# Needs a network: each extra in an environment of its own.
test-wheel: install
	RAWNET_JAX_TEST_WHEEL=1 $(BIN)/python -m pytest tests/test_wheel.py

# The page of the command `web` goes into rawnet_jax/web/built, and from there into a wheel.
web: web/node_modules
	cd web && npm run --silent build

test-web: web/node_modules
	cd web && npm run --silent lint && npm run --silent typecheck && npm run --silent test

web/node_modules: web/package.json web/package-lock.json
	@command -v npm >/dev/null || { echo "error: npm is needed; it comes with Node.js" >&2; exit 2; }
	cd web && npm ci
	@touch $@

# What fails is kept in fuzz-failures/; docs/fuzzing.md.
fuzz: install
	$(BIN)/python -m fuzzing --cases $(CASES) --seed $(SEED) --kinds "$(KINDS)" --report fuzz-failures/report.json

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: install
	$(BIN)/mypy

# Pages as a site in site/, warnings as errors, no network.
docs: install
	$(BIN)/mkdocs build

# pip-tools writes what it resolves; registries and local paths stay out of the file.
constraints: install
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --extra simulate --extra vocode --extra search --extra media --extra serve --extra scale --extra export --extra tflite --extra test --extra docs --extra dev --no-header \
	  --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --no-emit-options --output-file constraints.txt pyproject.toml

# CycloneDX, two files: the packages of an environment that holds the package alone, and what the
# page of the command `web` was built from. The tool lives in an environment of its own.
sbom:
	@command -v npm >/dev/null || { echo "error: npm is needed; it comes with Node.js" >&2; exit 2; }
	rm -rf sbom && mkdir sbom
	$(PYTHON) -m venv sbom/of && $(PYTHON) -m venv sbom/by
	sbom/of/bin/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) .
	sbom/by/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7.0,<8'
	sbom/by/bin/cyclonedx-py environment sbom/of --pyproject pyproject.toml --mc-type library \
	  --output-reproducible --of JSON -o sbom/rawnet_jax.cdx.json
	cd web && npm sbom --package-lock-only --omit dev --sbom-format cyclonedx > ../sbom/web.cdx.json
	rm -rf sbom/of sbom/by

clean:
	rm -rf $(VENV) .venv-lowest $(DEMO_CORPUS) $(DEMO_RUN) sbom
