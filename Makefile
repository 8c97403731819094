# The only commands; CI calls the same ones. PYTHON chooses the interpreter that makes the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := src tests recipes tools benchmarks examples

.PHONY: setup build test test-slow lint fix native sanitize clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip

# torch comes first and pinned: a range with no torch installed would pull gigabytes of CUDA
setup: $(BIN)/python
	$(BIN)/pip install -q torch==2.13.0
	$(BIN)/pip install -q ".[test,train]"

build:                       ## rebuild the package into the environment after a change of native/ or src/
	$(BIN)/pip install -q --no-deps .

test: setup lint             ## the default tier: under two minutes after set-up
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p xdist -n 2 --dist loadfile

test-slow: setup             ## the other tiers: native tests, real and true-size weights, peers
	$(MAKE) native
	$(BIN)/python tools/fetch_test_files.py
	$(BIN)/python -m pytest -m "weights or slow"

lint:
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

fix:
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

native:                      ## C++ tests: every kernel against its reference, every instruction set of this machine
	$(BIN)/cmake -S . -B build/native -DMAMBINO_PYTHON=OFF -DMAMBINO_TESTS=ON
	$(BIN)/cmake --build build/native --parallel
	$(BIN)/ctest --test-dir build/native --output-on-failure

sanitize:                    ## native tests and damaged files under the address and undefined-behaviour sanitizers
	$(BIN)/cmake -S . -B build/sanitize -DMAMBINO_PYTHON=OFF -DMAMBINO_TESTS=ON -DMAMBINO_SANITIZE=ON
	$(BIN)/cmake --build build/sanitize --parallel
	$(BIN)/ctest --test-dir build/sanitize --output-on-failure
	$(BIN)/pip install -q --no-deps --upgrade --target build/sanitized . -C cmake.define.MAMBINO_SANITIZE=ON -C build-dir=build/sanitize-python
	LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	PYTHONPATH=build/sanitized $(BIN)/python -m pytest tests/engine/test_fuzz.py -m native

clean:
	rm -rf build dist $(VENV)
