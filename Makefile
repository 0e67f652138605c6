# Every task of this project; `make` alone lists them.
PYTHON ?= python3
COMPOSE ?= docker compose
VENV := .venv
STAMP := $(VENV)/.installed
RUN := PYTHONPATH=src $(VENV)/bin/python -m a3c_bench

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DVC_NO_ANALYTICS := true
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
ifdef FRESH
export A3C_BENCH_FRESH := $(FRESH)
endif
ifdef HOSTS
export A3C_BENCH_HOSTS := $(HOSTS)
endif

VERIFY := $(if $(WORKERS),--workers $(WORKERS)) $(if $(THREADS),--threads $(THREADS)) $(if $(SCHEDULE),--schedule $(SCHEDULE)) \
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(ALGORITHMS),--algorithms $(ALGORITHMS))

# Many tests wait more than they compute: three at once keep two cores busy.
TOGETHER := --numprocesses 3 --dist worksteal

comma := ,
# Packages of Debian, as root; their names follow.
INSTALL := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends

.DEFAULT_GOAL := help
.PHONY: help setup check demo repro profile restore compare watch verify proof proof-arm other-systems chaos proof-hosts cost-hosts speed contribute peers suite suite-setup search test test-all test-hosts test-sweep test-long test-pipeline image image-repro image-verify image-parts image-test up up-hosts down wheel audit lint bench bench-check bench-proof mlflow docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: $(STAMP) ## create .venv, install the locked dependencies and the project, and compile its kernels

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "make: Python 3.11 – 3.13 is needed; name one with PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement requirements.lock
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation --editable .
	PYTHONPATH=src $(VENV)/bin/python -m a3c_bench.kernels.build
	@touch $@

check: setup ## check params.yaml and this machine, say how long a run will take, change nothing
	@$(RUN) check

demo: setup ## the first minute: train one seed, evaluate and film it, beside the textbook loop; writes demo/ only
	@$(RUN) demo

repro: check ## train, evaluate, profile and report: the whole pipeline (FRESH=1: not from checkpoints; HOSTS=3: docs/hosts.md)
	@# The stages end when this make is gone; the process id tells them which one.
	A3C_BENCH_SUPERVISOR=$$PPID dvc repro
	@$(RUN) log

profile: check ## time this machine again, whatever was measured before, and report it
	A3C_BENCH_SUPERVISOR=$$PPID dvc repro --force --single-item profile
	A3C_BENCH_SUPERVISOR=$$PPID dvc repro report
	@$(RUN) log

restore: setup ## bring the committed params and results back after experiments; discards uncommitted changes of them
	@# An experiment that was killed has left its params staged.
	git restore --source=HEAD --staged --worktree params.yaml dvc.lock reports
	dvc checkout --quiet --allow-missing

compare: setup ## put experiments side by side on a page, compare/index.html (EXP="name other"; by default all of this commit)
	@$(RUN) compare $(EXP)

watch: setup ## watch a trained policy play, in a window (ALGORITHM= SEED= MOMENT=early; by default the params' first)
	@$(RUN) watch $(if $(ALGORITHM),--algorithm '$(ALGORITHM)') $(if $(SEED),--seed '$(SEED)') $(if $(MOMENT),--moment $(MOMENT))

verify: setup ## make the committed results again from nothing and compare (WORKERS= THREADS= SCHEDULE= SEEDS=0,1 ALGORITHMS=)
	@$(RUN) verify $(VERIFY)

proof: setup other-systems ## vary all that must not change the bits, write reports/reproducibility (about 30 minutes; ENVS=Acrobot-v1,Pendulum-v1: only these, a short training each)
	@$(RUN) proof $(if $(ENVS),--envs '$(ENVS)')

proof-arm: setup other-systems ## train on an emulated ARM64 processor too, compare the bits (CPU=cortex-a57 ROUNDS=20; WHOLE=1 ALGORITHM= SEED=: a cell of dvc.lock)
	@$(RUN) proof-arm $(if $(CPU),--cpu '$(CPU)') $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WHOLE),--whole) \
		$(if $(ALGORITHM),--algorithm '$(ALGORITHM)') $(if $(SEED),--seed '$(SEED)')

other-systems:
	@{ command -v qemu-x86_64 && command -v qemu-aarch64 && command -v mmdebstrap; } >/dev/null \
		|| { $(INSTALL) qemu-user mmdebstrap >/dev/null; } \
		|| echo "make: qemu-user and mmdebstrap could not be installed: what needs them stays open" >&2

chaos: setup ## strike trainings with faults and compare their results, and try bad inputs (FAULTS=207; about half an hour)
	@$(RUN) chaos $(if $(FAULTS),--faults $(FAULTS))

proof-hosts: setup ## train over two to four hosts, strike them, compare the bits, write reports/hosts (as root; FAULTS=70; about half an hour, goes on where it was)
	@$(RUN) proof-hosts $(if $(FAULTS),--faults $(FAULTS))

cost-hosts: setup ## measure what several hosts cost and bring, write reports/hosts (as root; about five minutes)
	@$(RUN) cost-hosts $(if $(SLICES),--slices $(SLICES))

speed: setup ## measure the figures of speed against floor and textbook loop (about 25 minutes)
	@$(RUN) speed

contribute: setup ## time committed trainings on this machine, write machines/<cpu>-<cores>.json (under five minutes)
	@$(RUN) contribute

peers: setup $(if $(ENVS),suite-setup) .peers/stable-baselines/.installed .peers/jax/.installed ## train other systems beside this one (SEEDS=5: at most five each, in place of 100, 20 or 5; about 25 minutes; ENVS=Acrobot-v1: time to score there)
	@$(RUN) peers $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ENVS),--envs '$(ENVS)')
	$(if $(ENVS),cd suite && A3C_BENCH_SUPERVISOR=$$PPID dvc repro report)

.peers/%/.installed: peers/%.lock
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --requirement $<
	@touch $@

suite: suite-setup ## train and evaluate the suite's environments, cell by cell, and write reports/suite (days; ENVS=Acrobot-v1,Pendulum-v1)
	@$(RUN) suite $(if $(ENVS),--envs '$(ENVS)')
	@# A cell that fails holds up no other, and the page tells of those that there are.
	cd suite && export A3C_BENCH_SUPERVISOR=$$PPID; \
		dvc repro --keep-going --glob $(foreach name,$(or $(subst $(comma), ,$(ENVS)),*),'evaluate@$(name)-*'); \
		code=$$?; dvc repro report && exit $$code

suite-setup: $(VENV)/.suite ## install what the suite's environments need, as locked in requirements-suite.lock

$(VENV)/.suite: requirements-suite.lock | $(STAMP)
	$(VENV)/bin/pip install --quiet --requirement $<
	@touch $@

search: setup ## search for the fastest hyper-parameters (about 20 minutes), or for a preset (ENV=Acrobot-v1 ALGORITHM=ppo CANDIDATES=16)
	@$(RUN) search $(if $(ENV),--environment '$(ENV)') $(if $(ALGORITHM),--algorithm '$(ALGORITHM)') $(if $(CANDIDATES),--candidates $(CANDIDATES))

test: setup lint ## lint, types and the tests that are fast, several at once
	$(VENV)/bin/pytest $(TOGETHER)

test-all: setup lint ## lint, types and all tests but those of the pipeline and the image (about ten minutes)
	$(VENV)/bin/pytest $(TOGETHER) -m 'not pipeline and not image and not long and not hosts and not sweep'

test-hosts: setup ## one training over several hosts, which are network namespaces here (as root; FAULTS=10; about five minutes)
	$(if $(FAULTS),FAULTS=$(FAULTS)) $(VENV)/bin/pytest tests/hosts -m hosts --numprocesses 2 --dist worksteal

test-sweep: setup .sweep/.installed ## cells over Ray nodes, and a team's stores: PostgreSQL, S3 (Debian, as root; SELECT='not twenty': without the longest; about four minutes)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { $(INSTALL) postgresql >/dev/null; } \
		|| echo "make: postgresql could not be installed: the team's MLflow is not tried" >&2
	PYTHONPATH=src .sweep/bin/python -m pytest tests/sweep -m sweep$(if $(SELECT), -k '$(SELECT)')

# Beside the packages that are installed for everything else.
.sweep/.installed: requirements-sweep.lock tests/sweep/requirements.txt | $(STAMP)
	$(VENV)/bin/python -m venv .sweep
	echo "import site; site.addsitedir('$$($(VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])')')" \
		> "$$(.sweep/bin/python -c 'import site; print(site.getsitepackages()[0])')/beside.pth"
	.sweep/bin/pip install --quiet --requirement $< --requirement tests/sweep/requirements.txt
	@touch $@

test-long: setup ## many bad inputs, strange environments and trainings at once (about fifteen minutes)
	$(VENV)/bin/pytest $(TOGETHER) -m long

test-pipeline: setup ## a small real pipeline through DVC, with experiments, the queue and the MLflow server in a browser
	@command -v chromium >/dev/null || { $(INSTALL) chromium >/dev/null; } \
		|| echo "make: chromium could not be installed: the MLflow page is not looked at" >&2
	$(VENV)/bin/pytest tests/pipeline -m pipeline

image: ## build the image of this commit (PIP_EXTRA_INDEX_URL=… where torch has no CPU wheel otherwise)
	DOCKER_BUILDKIT=1 docker build --tag a3c-bench --build-arg REVISION=$$(git rev-parse HEAD) \
		$(foreach name,PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS,$(if $($(name)),--build-arg $(name)="$($(name))")) .

image-repro: ## the whole pipeline in the image; the results appear here
	docker run --rm --network none --user $$(id -u):$$(id -g) $(if $(FRESH),--env A3C_BENCH_FRESH=1) --volume "$(CURDIR)":/repo a3c-bench repro

image-verify: ## make the committed results again in the image, with no network, and compare
	docker run --rm --network none --read-only --tmpfs /tmp:exec a3c-bench verify $(VERIFY)

image-parts: ## write what the image is made of to reports/container/parts.csv
	mkdir -p reports/container
	docker run --rm --network none a3c-bench python container/parts.py > reports/container/parts.csv

image-test: setup ## build and test the image, with no registry and an engine of its own (Debian, as root; about ten minutes)
	@for tool in dockerd docker-compose mmdebstrap; do command -v $$tool >/dev/null || missing=1; done; \
	[ -z "$$missing" ] || { $(INSTALL) docker.io docker-compose mmdebstrap >/dev/null; }
	$(VENV)/bin/pytest tests/container -m image

up: ## the pipeline and an MLflow server that it logs to, in containers (MLFLOW_PORT=5000)
	OWNER=$$(id -u):$$(id -g) $(COMPOSE) up

up-hosts: ## the pipeline over three hosts, each a container (A3C_BENCH_SECRET=…: what they know and nobody else)
	OWNER=$$(id -u):$$(id -g) $(COMPOSE) --profile hosts up --abort-on-container-exit --exit-code-from head head joining joining-too

down: ## end what `make up` started; the server's data stay in its volume
	$(COMPOSE) --profile hosts down

wheel: setup ## build the wheel of this commit into dist/ (TAG=v1.2.3: fails unless that is its version)
	@[ -z "$(TAG)" ] || grep -qxF 'version = "$(TAG:v%=%)"' pyproject.toml \
		|| { echo "make: TAG: $(TAG) is not the version in pyproject.toml" >&2; exit 2; }
	$(VENV)/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

audit: ## look the locked packages up among the known vulnerabilities (needs a network)
	$(PYTHON) -m venv .audit
	.audit/bin/pip install --quiet pip-audit==2.9.0
	.audit/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip

lint: setup ## format check, lint and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: setup ## time the parts of the pipeline (pytest-benchmark); a commit of main goes to MLflow's experiment `benchmarks`
	$(VENV)/bin/pytest tests/benchmarks --benchmark-enable --benchmark-only --benchmark-json=benchmarks.json
	@$(RUN) bench-history benchmarks.json

bench-check: setup ## time this commit beside another, in turns; fails if it is slower (BASE=main; four to eight minutes)
	@$(RUN) bench-check $(if $(BASE),--base '$(BASE)') $(if $(SELECT),--select '$(SELECT)') $(if $(BUDGET),--budget $(BUDGET))

bench-proof: setup ## measure the false alarms of bench-check, and what it finds (RUNS=40: about an hour, all in some three; goes on where it was)
	@$(RUN) bench-proof $(if $(RUNS),--runs $(RUNS))

mlflow: setup ## serve the MLflow UI on 127.0.0.1 (PORT=5000)
	@# The experiment's number is 1 in a store of this project alone.
	@number=$$($(VENV)/bin/python -c 'import sqlite3; print(*sqlite3.connect("file:mlflow.db?mode=ro", uri=True).execute( \
		"select experiment_id from experiments where name = ?", ["a3c-bench"]).fetchone())' 2>/dev/null); \
	echo "http://127.0.0.1:$(or $(PORT),5000)/#/experiments/$${number:-1}/runs?workflowType=machine_learning"
	@# Nothing but errors after it: a line for every request would push it out of sight.
	@PYTHONWARNINGS=ignore $(VENV)/bin/mlflow server --host 127.0.0.1 --port $(or $(PORT),5000) --backend-store-uri sqlite:///mlflow.db --uvicorn-opts '--log-level warning'

docs: setup .docs/.installed ## build the documentation's site, strictly, into .docs/site/index.html
	@PYTHONPATH=src $(VENV)/bin/python docs/site/reference.py .docs/reference
	@NO_MKDOCS_2_WARNING=1 .docs/bin/mkdocs build --quiet --clean

.docs/.installed: requirements-docs.lock
	$(PYTHON) -m venv .docs
	.docs/bin/pip install --quiet --requirement $<
	@touch $@

COMPILE := $(VENV)/bin/pip-compile --quiet --upgrade --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# A local build's suffix would exclude everybody else's build of the same version.
WITHOUT_BUILD := sed -i -E 's/^([a-z0-9-]+==[^+ ]+)\+[a-z0-9.]+/\1/'

lock: setup ## resolve the dependencies of pyproject.toml again, into the lock files
	$(COMPILE) --extra test --extra dev --output-file requirements.lock pyproject.toml
	$(WITHOUT_BUILD) requirements.lock
	$(COMPILE) --extra box2d --extra mujoco --extra minatar --extra atari --constraint requirements.lock \
		--output-file requirements-suite.lock pyproject.toml
	$(WITHOUT_BUILD) requirements-suite.lock
	$(COMPILE) --extra ray --extra team --constraint requirements.lock --output-file requirements-sweep.lock pyproject.toml
	$(WITHOUT_BUILD) requirements-sweep.lock
	$(COMPILE) --output-file requirements-docs.lock docs/site/requirements.in

clean: ## remove the environment, caches, models and the MLflow store; results in git stay
	rm -rf $(VENV) .sweep .peers .audit .docs .pytest_cache .mypy_cache .ruff_cache .hypothesis build src/*.egg-info benchmarks.json bench-check demo dist models .a3c-bench mlruns mlflow.db .dvc/cache .dvc/tmp
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
