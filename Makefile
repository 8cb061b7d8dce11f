# `make book` and `make test` set up all they need in .venv; nothing is installed elsewhere.
#   make book                  the book, from the stored runs, strictly: every warning is an error
#   make book PROFILE=quick    the same, with everything trained as it goes, on the embedded digits
#   make test                  the whole test suite, faults and fuzz tests in short
#   make faults, make fuzz     those two in full: minutes; what they count goes to results/trust
#   make oracles               other libraries as oracles; PyTorch too, if it is in .venv
#   make witnesses             the three witnesses of every gradient
#   make mutants               faults put into the code, which tests must find: an hour
#   make anywhere              both commands under other kernels, folders, locales, users, Pythons
#   make vulnerabilities       the lock held against what is known of it; needs the network
#   make notebooks             the three parts through papermill, as notebook, HTML and script
#   make bench                 all speeds, measured beside other libraries, into results/
PYTHON  ?= python3
PROFILE ?= $(or $(MLPCW_PROFILE),full)
ifneq ($(PROFILE),full)
ifneq ($(PROFILE),quick)
$(error PROFILE must be full or quick, got '$(PROFILE)')
endif
endif

VENV  := .venv
BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip
PARTS := part1_regularisation part2_augmentation part3_convolution

# Where each package of the lock has a wheel; `make wheels` looks.
PYTHONS   := 3.11 3.12 3.13 3.14 3.15
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin x86_64-apple-darwin

# The kernel is the environment's own, never one that the user has installed; nor are the user's
# settings and start-up files read, and a home that cannot be written to will do.
export JUPYTER_PREFER_ENV_PATH := 1
export IPYTHONDIR := $(CURDIR)/_build/ipython
export JUPYTER_CONFIG_DIR := $(CURDIR)/_build/jupyter
export JUPYTER_RUNTIME_DIR := $(CURDIR)/_build/runtime
export MPLCONFIGDIR := $(CURDIR)/_build/matplotlib
export MLPCW_PROBES := $(CURDIR)/_build/probes.json
# What is built carries the date of the last commit, so that two builds of it are the same.
SOURCE_DATE_EPOCH := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
ifeq ($(SOURCE_DATE_EPOCH),)
unexport SOURCE_DATE_EPOCH
else
export SOURCE_DATE_EPOCH
endif

# The environment is made anew where there is none, in a checkout that was copied or moved, with
# another PYTHON than before if one is named, and with a new lock: then with the Python it has.
NAMED     := $(if $(filter file,$(origin PYTHON)),,$(PYTHON))
BASE      := $(shell $(BIN)/python -c 'import sys; print(sys._base_executable)' 2>/dev/null)
MAKER     := $(or $(NAMED),$(BASE),$(PYTHON))
SIGNATURE  = pwd -P; for python in $(BIN)/python "$(or $(NAMED),$(BIN)/python)"; do \
	       "$$python" -c 'import sys; print(sys.version)'; done
ANEW      := $(shell { $(SIGNATURE); } 2>/dev/null | cmp -s - $(VENV)/up-to-date || echo anew)
# Empty for a Python that will do.
REFUSAL    = $(or $(shell "$(MAKER)" -c 'import sys; \
	       sys.exit("%d.%d" % sys.version_info[:2] not in "$(PYTHONS)".split())' 2>/dev/null || \
	       echo "mlpcw needs Python $(firstword $(PYTHONS)) to $(lastword $(PYTHONS)), and \
	       '$(MAKER)' is not one of these: name one, as in 'make book PYTHON=python3.12'"), \
	       $(shell "$(MAKER)" -c 'import ensurepip, venv' 2>/dev/null || echo "'$(MAKER)' cannot \
	       make a virtual environment: install python3-venv (Debian, Ubuntu), then try again"))

.PHONY: setup anew book html test faults fuzz oracles witnesses mutants anywhere vulnerabilities
.PHONY: notebooks bench lint lock wheels clean

setup:
	$(if $(ANEW),$(if $(REFUSAL),$(error $(REFUSAL))))
	@+"$(MAKER)" .ci/alone.py . $(MAKE) --no-print-directory --silent $(VENV)/up-to-date

# Nothing is resolved and nothing is built: what is installed is what the lock says, on any day.
$(VENV)/up-to-date: requirements.txt pyproject.toml $(ANEW)
	@echo "Making $(VENV) from requirements.txt, about a minute ..."
	"$(MAKER)" -m venv --clear $(VENV)
	$(PIP) install --quiet --no-deps --only-binary :all: --require-hashes -r requirements.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(PIP) check
	{ $(SIGNATURE); } > $@

book: setup
	@"$(MAKER)" .ci/alone.py book $(MAKE) --no-print-directory html

html:
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

# All that the landing of a change cannot wait for: kernels, folders, locales, users, Pythons.
anywhere:
	.ci/anywhere

# In an environment of its own, so that nothing of it is in the lock. Strict: a package that cannot
# be looked up is a failure.
vulnerabilities:
	"$(MAKER)" -m venv _build/vulnerabilities
	_build/vulnerabilities/bin/python -m pip install --quiet pip-audit
	_build/vulnerabilities/bin/pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict

notebooks: setup
	mkdir -p _build/notebooks
	set -e; for part in $(PARTS); do \
	  $(BIN)/papermill book/$$part.ipynb _build/notebooks/$$part.ipynb --cwd book -p profile $(PROFILE); \
	done
	$(BIN)/python book/export.py $(PARTS:%=_build/notebooks/%.ipynb)

# PIP_OPTIONS may name the index of PyTorch that has it without CUDA, which is some gigabytes smaller
# on Linux; BENCH="--only training" measures one section anew.
bench: setup
	+$(MAKE) --no-print-directory $(VENV)/bench
	$(BIN)/python benchmarks/performance.py $(BENCH)

$(VENV)/bench: $(VENV)/up-to-date
	$(PIP) install --quiet --no-build-isolation $(PIP_OPTIONS) -e '.[bench]'
	@touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

# Needs uv, as `wheels` does. `make lock LOCK=--upgrade` takes the newest versions. The extras of
# requirements are in it, so that nothing is left to resolve.
lock:
	uv pip compile --quiet --universal --python-version $(firstword $(PYTHONS)) \
	  --fork-strategy fewest --no-strip-extras --extra dev --generate-hashes \
	  --custom-compile-command "make lock" $(LOCK) --output-file requirements.txt pyproject.toml
	$(MAKE) wheels

wheels:
	@set -e; for python in $(PYTHONS); do for platform in $(PLATFORMS); do \
	  echo "Python $$python on $$platform"; \
	  uv pip install --no-config --dry-run --quiet --no-deps --only-binary :all: --require-hashes \
	    --target _build/wheels --python-version $$python --python-platform $$platform \
	    -r requirements.txt; \
	done; done

clean:
	rm -rf $(VENV) _build .coverage .hypothesis .pytest_cache .ruff_cache
