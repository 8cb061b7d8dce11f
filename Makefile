# `make book` and `make test` set up all they need in .venv; nothing is installed elsewhere.
#   make book                  the book, from the stored runs, strictly: every warning is an error
#   make book PROFILE=quick    the same, with everything trained as it goes, on the embedded digits
#   make test                  the whole test suite, faults and fuzz tests in short
#   make faults, make fuzz     those two in full: minutes; what they count goes to results/trust
#   make oracles               other libraries as oracles; PyTorch too, if it is in .venv
#   make witnesses             the three witnesses of every gradient
#   make mutants               faults put into the code, which tests must find: an hour
#   make audit                 the lock held against the known vulnerabilities; needs the network
#   make notebooks             the three parts through papermill, as notebook, HTML and script
#   make bench                 all speeds, measured beside other libraries, into results/
PYTHON  ?= python3
PROFILE ?= $(or $(MLPCW_PROFILE),full)

VENV  := .venv
BIN   := $(VENV)/bin
PARTS := part1_regularisation part2_augmentation part3_convolution

# The kernel is the environment's own, never one that the user has installed.
export JUPYTER_PREFER_ENV_PATH := 1
# What is built carries the date of the last commit, so that two builds of it are the same.
SOURCE_DATE_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
ifeq ($(SOURCE_DATE_EPOCH),)
unexport SOURCE_DATE_EPOCH
else
export SOURCE_DATE_EPOCH
endif

.PHONY: setup book test faults fuzz oracles witnesses mutants audit notebooks bench lint lock clean

setup: $(VENV)/up-to-date

$(VENV)/up-to-date: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
	  "mlpcw needs Python 3.11 or later and '$(PYTHON)' is not one: name one that is, as in 'make book PYTHON=python3.12'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
	  "'$(PYTHON)' cannot make a virtual environment: install the package python3-venv (Debian, Ubuntu), then run make again." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

book: setup
	rm -rf _build/html _build/.doctrees _build/jupyter_execute
	MLPCW_PROFILE=$(PROFILE) $(BIN)/jupyter-book build . -W -n --keep-going

test: setup
	$(BIN)/python -m pytest --cov --cov-report=term

faults fuzz oracles: setup
	$(BIN)/python -m pytest --long tests/$@

witnesses: setup
	$(BIN)/python -m pytest --long -m witness

# It may be interrupted, and goes on where it was. `make mutants NUMBER=50`: so many of each module.
mutants: setup
	$(BIN)/python tests/mutate.py --number $(or $(NUMBER),0)

# In an environment of its own, so that nothing of it is in the lock. Strict: a package that cannot
# be looked up is a failure.
audit:
	$(PYTHON) -m venv _build/audit
	_build/audit/bin/python -m pip install --quiet pip-audit
	_build/audit/bin/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict

notebooks: setup
	mkdir -p _build/notebooks
	set -e; for part in $(PARTS); do \
	  $(BIN)/papermill book/$$part.ipynb _build/notebooks/$$part.ipynb --cwd book -p profile $(PROFILE); \
	done
	$(BIN)/python book/export.py $(PARTS:%=_build/notebooks/%.ipynb)

# PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu" takes PyTorch without CUDA,
# which is some gigabytes smaller on Linux; BENCH="--only training" measures one section anew.
bench: $(VENV)/bench
	$(BIN)/python benchmarks/performance.py $(BENCH)

$(VENV)/bench: $(VENV)/up-to-date
	$(BIN)/python -m pip install --quiet --no-build-isolation $(PIP_OPTIONS) -e '.[bench]'
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Needs uv. One version of each package on every Python, so that numbers do not depend on it;
# `make lock LOCK=--upgrade` takes the newest versions.
lock:
	uv pip compile --no-config --quiet --universal --python-version 3.11 --fork-strategy fewest \
	  --extra dev --generate-hashes --custom-compile-command "make lock" $(LOCK) \
	  --output-file requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) _build .coverage .hypothesis .pytest_cache .ruff_cache
