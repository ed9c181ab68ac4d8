# One command per intent. `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install -q -c constraints.txt
PIP_SHOWN := $(BIN)/pip install -c constraints.txt
SOURCES := $(shell git ls-files 'cpp/*.h' 'cpp/*.cpp')
INSTALLED := $(shell git ls-files cpp python CMakeLists.txt)
# Where the libraries are installed, narfast runs from its sources, and the demo with it.
READY := $(or $(wildcard $(VENV)/.torch-installed),$(VENV)/.installed)

export HF_HUB_OFFLINE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo demo-torch test test-quick docs wheel lint format stubs bench bench-quick scatter tidy fuzz mutate ext clean
.DEFAULT_GOAL := help

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.pip:
	@echo '[1/3] making $(VENV) with a current pip'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q 'pip>=25.3'
	@touch $@

# What a search needs. The build tools are in a folder of pip's own, which goes away again.
$(VENV)/.installed: pyproject.toml constraints.txt $(INSTALLED) | $(VENV)/.pip
	@echo '[2/3] compiling narfast: a minute or two'
	@rm -rf build/wheel
	@$(BIN)/pip wheel -q --no-deps --build-constraint constraints.txt -w build/wheel .
	@echo '[3/3] installing it with what a search needs'
	@$(BIN)/pip uninstall -qy narfast
	@$(PIP_SHOWN) build/wheel/*.whl
	@touch $@

# What reads networks out of the libraries of models.
$(VENV)/.torch-installed: pyproject.toml constraints.txt | $(VENV)/.pip
	@echo '[2/3] installing the build tools'
	@$(PIP) --group build
	@echo '[3/3] installing PyTorch and the libraries of models, then compiling narfast: some minutes'
	@$(PIP_SHOWN) --no-build-isolation -e '.[all,evaluation]' --group demo
	@touch $@

$(VENV)/.test-installed: $(VENV)/.torch-installed
	$(PIP) --group test --group lint --group docs
	touch $@

demo: $(READY)  ## install what a search needs, and search the shipped zoo with a file and a cell
	@$(BIN)/python examples/demo.py

demo-torch: $(VENV)/.torch-installed  ## install PyTorch and the libraries, and search with an nn.Module of your own
	@$(BIN)/python examples/demo_torch.py

test: $(VENV)/.test-installed doctest  ## install what tests need; C++ tests under sanitizers, then Python tests
	PATH=$(CURDIR)/$(BIN):$$PATH sh -c 'for preset in dev tsan; do cmake --preset $$preset && cmake --build --preset $$preset && ctest --preset $$preset || exit 1; done'
	$(BIN)/python -m pytest

test-quick: $(VENV)/.test-installed  ## the Python tests that are not marked slow: about a minute, for the edit loop
	$(BIN)/python -m pytest -m 'not slow'

# Each part of lint is a hook of .pre-commit-config.yaml too.
LINTS := lint-cpp lint-python lint-types lint-stubs
.PHONY: $(LINTS)
lint: $(LINTS)  ## formatting, style, types, and whether the generated stubs are fresh
$(LINTS): $(VENV)/.test-installed

lint-cpp:
	$(BIN)/clang-format --dry-run --Werror $(SOURCES)

lint-python:
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

lint-stubs:
	$(BIN)/python -m pybind11_stubgen narfast._core -o build/stubs >/dev/null && diff -u python/narfast/_core.pyi build/stubs/narfast/_core.pyi

docs: $(READY)  ## build the documentation in build/docs; a warning is an error
	$(PIP) --group docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -b html docs build/docs

format: $(VENV)/.test-installed  ## put every file into the style that lint checks
	$(BIN)/clang-format -i $(SOURCES)
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

stubs: $(VENV)/.test-installed  ## regenerate the types of the extension after a change of the bindings
	$(BIN)/python -m pybind11_stubgen narfast._core -o build/stubs && cp build/stubs/narfast/_core.pyi python/narfast/_core.pyi

wheel: $(VENV)/.pip  ## sdist and wheel into dist/; the wheel is tried in a fresh environment without PyTorch
	$(PIP) build
	rm -rf dist && PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build -o dist .
	$(BIN)/python .ci/check_wheel.py dist/*.whl

bench: $(VENV)/.test-installed  ## run the benchmarks, peers beside us, and write results and tables
	$(PIP) --group bench
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=build/benchmark.json
	$(BIN)/python benchmarks/reports/tables.py

bench-quick: $(VENV)/.test-installed  ## the same without what takes long; results go to build/ alone
	$(PIP) --group bench
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=build/benchmark.json -m 'not slow' --benchmark-max-time=0.5

scatter: $(VENV)/.test-installed  ## build torch_scatter (optional accelerator) and test against it
	$(PIP) wheel setuptools && $(PIP) --no-build-isolation torch_scatter==2.1.2
	$(BIN)/python -c 'import torch_scatter' || $(PIP) --no-build-isolation --no-cache-dir --force-reinstall --no-deps torch_scatter==2.1.2
	$(BIN)/python -m pytest tests/nn/test_scatter.py

tidy: $(VENV)/.test-installed  ## clang-tidy over the core, by .clang-tidy (needs clang-tidy: pip has it)
	PATH=$(CURDIR)/$(BIN):$$PATH sh -c 'cmake --preset tidy && cmake --build --preset tidy'

fuzz: $(VENV)/.test-installed  ## libFuzzer on the readers, ten minutes each (needs Clang 14 or later with compiler-rt)
	PATH=$(CURDIR)/$(BIN):$$PATH sh -c 'cmake --preset fuzz && cmake --build --preset fuzz'
	for target in build/fuzz/fuzz_*; do test -f $$target -a -x $$target && $$target -max_total_time=600 || exit 1; done

mutate: $(VENV)/.test-installed  ## 20,000 damaged files through every reader, and the table in SECURITY.md
	$(PIP) --group bench
	$(BIN)/python benchmarks/studies/mutate.py --count 20000 --workers 2 --out benchmarks/results/mutations.json; status=$$?; $(BIN)/python benchmarks/reports/tables.py; exit $$status

ext:  ## build the extension beside the sources, without installing
	cmake -S . -B build/ext -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(CURDIR)/python/narfast -DPython_EXECUTABLE=$(PYTHON) -Dpybind11_DIR=$$($(PYTHON) -m pybind11 --cmakedir) && cmake --build build/ext

clean:  ## remove everything that was built
	rm -rf build $(VENV) python/narfast/_core*.so

.PHONY: doctest
doctest:
	@test -f /usr/include/doctest/doctest.h || (apt-get update -qq && apt-get install -y -qq doctest-dev) || { echo 'the C++ tests need the doctest header: apt-get install doctest-dev'; exit 1; }
