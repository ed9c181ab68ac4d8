# One command per intent; each is one line that anyone can read.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXT := cmake -S . -B build/ext -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(CURDIR)/python/narfast

.PHONY: ext
ext:  ## build narfast._core next to the Python sources, without installing
	$(EXT) -DPython_EXECUTABLE=$(PYTHON) -Dpybind11_DIR=$$($(PYTHON) -m pybind11 --cmakedir) && cmake --build build/ext
