# make help lists the targets. Works with GNU make 3.81 (macOS) and later.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The tools come from .venv, regardless of what else is installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport CDPATH # or cd might go elsewhere

SHELL_SCRIPTS := .ci/run $(wildcard scripts/*.sh scripts/shell/*.sh)
READY := .venv/.ready

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The oldest AWS SDK that Lambda may have, for one test: installed with the rest, so that no test needs the network.
OLD_SDK_READY := build/old-sdk/.ready

$(OLD_SDK_READY): tests/support/old_sdk.txt $(READY)
	@rm -rf $(@D) && python -m pip install --quiet --no-deps --target $(@D) --requirement $<
	@touch $@

.PHONY: setup
setup: $(READY) $(OLD_SDK_READY) ## Create .venv with everything to develop and test (other targets do this automatically)

# Version managers leave commands that exist but do not work, so each candidate is run to check its version. It prints its
# base Python, so that an old .venv that is first in PATH is not built from itself.
define FIND_PYTHON
import sys, venv, ensurepip
sys.exit("too old") if sys.version_info < (3, 13) else print(getattr(sys, "_base_executable", sys.executable))
endef
export FIND_PYTHON

# A system update may have removed the Python that .venv was made from, or .venv may be older than this project
VENV_WORKS := $(shell .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null && echo yes)
ifneq ($(VENV_WORKS),yes)
.PHONY: $(READY)
endif

$(READY): requirements.txt src/requirements.txt
	@for python in $(PYTHON) python3.13 python3.14 python3.15 python3 python; do \
	  if found=$$("$$python" -c "$$FIND_PYTHON" 2>/dev/null); then break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'No Python 3.13 or newer found: install one (https://www.python.org/downloads/, with venv), or pass its path: make PYTHON=/path/to/python3.13' >&2; \
	  exit 1; \
	fi; \
	echo "Setting up .venv with $$("$$found" --version) and the pinned tools (once, about a minute) ..."; \
	rm -rf .venv && "$$found" -m venv .venv && .venv/bin/python -m pip install --quiet --requirement requirements.txt
	@touch $@

# Quotes are passed on to the shell, so names with spaces work:  make demo VIDEOS="a.mov 'my clip.MP4'"
.PHONY: demo
demo: $(READY) ## Deploy to a cloud on this machine and process sample videos, or your own: VIDEOS="a.mov 'my clip.MP4'"
	@python -m demo $(VIDEOS)

.PHONY: cloud
cloud: $(READY) ## Deploy to a cloud on this machine and leave it running until Ctrl-C: PORT=4566, EMAIL=you@example.com
	@python -m demo.cloud $(if $(PORT),--port $(PORT)) $(if $(EMAIL),--email $(EMAIL))

# The number of test processes; tests that share a stack run in the same one (tests/support/groups.py)
WORKERS ?= auto
PYTEST := python -m pytest -q
SPREAD := --numprocesses $(WORKERS)

.PHONY: test
test: $(READY) $(OLD_SDK_READY) ## Run all tests, or some: TESTS="tests/unit -k email"
	@$(PYTEST) $(if $(TESTS),$(TESTS),$(SPREAD))

.PHONY: test-unit
test-unit: $(READY) $(OLD_SDK_READY) ## Run the tests that need no stack: modules and template
	@$(PYTEST) $(SPREAD:auto=logical) tests/unit

.PHONY: coverage
coverage: $(READY) $(OLD_SDK_READY) ## Run all tests and list the lines of src/ that they do not reach; fails under 95 %
	@mkdir -p build && $(PYTEST) $(SPREAD) --cov --cov-report=term $(TESTS)

BROWSER_READY := build/browser/packages/.ready

$(BROWSER_READY): tests/browser/requirements.txt $(READY)
	@rm -rf $(@D) && python -m pip install --quiet --target $(@D) --requirement $<
	@command -v chromium chromium-browser google-chrome >/dev/null || PYTHONPATH=$(@D) python -m playwright install --with-deps chromium
	@touch $@

.PHONY: test-browser
test-browser: $(BROWSER_READY) ## Test the gallery and the local cloud's protection in Chromium (downloaded if missing)
	@PYTHONPATH=$(dir $(BROWSER_READY)) $(PYTEST) tests/browser

.PHONY: screenshot
screenshot: demo $(BROWSER_READY) ## Take the README's picture of the gallery
	@PYTHONPATH=$(dir $(BROWSER_READY)) python -m tools.screenshot

# A change in media is tried with hundreds of films: some of them take ten minutes, all of them days
MUTATED := $(addprefix mutate-,pipeline media template scripts)

.PHONY: mutate $(MUTATED)
mutate: $(if $(AREA),mutate-$(AREA),$(MUTATED)) ## Make mistakes one at a time and list those that no test notices: AREA=pipeline, media, template or scripts
mutate-media: private SAMPLE := $(or $(SAMPLE),40)
$(MUTATED): mutate-%: $(READY)
	@mkdir -p build && python -m tools.mutations $* $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(ONLY),--only $(ONLY)) 2>build/mutations.log

# s3fs needs an older botocore than the deployed one, so the benchmarks' packages are outside .venv
BENCH_READY := build/bench/packages/.ready

$(BENCH_READY): tools/benchmarks/requirements.txt $(READY)
	@rm -rf $(@D) && python -m pip install --quiet --target $(@D) --requirement $< 2> >(grep -v -e resolver -e boto3 >&2)
	@touch $@

.PHONY: bench
bench: $(BENCH_READY) ## Compare its speed with the alternatives; a part of it: RUNS=1 FILES="20s-720p 1gb-mov"
	@python -m tools.benchmarks $(if $(RUNS),--runs $(RUNS)) $(FILES)

.PHONY: soak
soak: $(READY) ## Test with tens of thousands of incorrect and broken videos, then bursts: SEEDS=2, CASES=5000, FIRST=0
	@PYTHONPATH=src python -m tests.truth $(if $(SEEDS),--seeds $(SEEDS))
	@PYTHONPATH=src python -m tests.fuzz $(if $(CASES),--cases $(CASES)) $(if $(FIRST),--first $(FIRST))
	@python -m pytest -q tests/reliability --soak

# The hooks of .pre-commit-config.yaml, also on new files, which --all-files would skip. mypy is separate because it needs
# the installed packages.
.PHONY: lint
lint: $(READY) ## Check template, YAML, Python, shell, workflows, secrets, types, security rules, wording
	@set -o pipefail; git ls-files -z --cached --others --exclude-standard | xargs -0 pre-commit run --files
	mypy

.PHONY: actionlint
actionlint: $(READY) ## Check the workflows with actionlint, which is downloaded from GitHub
	@pre-commit run --hook-stage manual --all-files actionlint

AUDIT_READY := build/audit/.ready

$(AUDIT_READY): $(wildcard tools/audit/*.*)
	@command -v npm >/dev/null || { echo 'make audit needs Node.js 20 or newer with npm: https://nodejs.org' >&2; exit 1; }
	@mkdir -p $(@D) && cp $^ $(@D) && cd $(@D) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

.PHONY: audit
audit: $(AUDIT_READY) ## Check both templates against cdk-nag's AwsSolutions rules (needs Node.js and npm)
	@node build/audit/audit.mjs template.yaml
	@node build/audit/audit.mjs .github/deploy-role.yaml

.PHONY: format
format: $(READY) ## Format Python and shell
	ruff check --fix .
	ruff format .
	shfmt -i 2 -w $(SHELL_SCRIPTS)

.PHONY: package
package: $(READY) ## Build build/function.zip: ARCHITECTURE=arm64 (default) or x86_64
	@python scripts/build_package.py $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

.PHONY: deploy
deploy: $(READY) ## Deploy to AWS: ENV=prod EMAIL=ops@example.com; more with OPTIONS="..." (scripts/deploy.sh --help)
	@scripts/deploy.sh $(if $(ENV),--env $(ENV)) $(if $(EMAIL),--email $(EMAIL)) \
	  $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE)) $(OPTIONS)

.PHONY: verify
verify: $(READY) ## Test a deployed stack with two small videos: ENV=prod (scripts/verify.sh --help)
	@scripts/verify.sh $(if $(ENV),--env $(ENV)) $(OPTIONS)

.PHONY: replay
replay: $(READY) ## Process failed or missing videos again: ARGS="dead-letters --stack video-intake-prod" (ARGS=--help)
	@python scripts/replay.py $(ARGS)

.PHONY: cost
cost: $(READY) ## Estimate the monthly cost: ARGS="--videos-a-day 20000 --mb 900" (ARGS=--help)
	@python scripts/cost.py $(ARGS)

.PHONY: clean
clean: ## Remove everything that make created: .venv, packages, caches
	rm -rf .venv build mutants demo-output .localcloud .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
