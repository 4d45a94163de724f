# `make` lists the targets. All run as root on Debian 13 and need no running systemd.
PYTHON = /usr/bin/python3
VENV = .cache/venv
RUFF = $(VENV)/bin/ruff
RUFF_VERSION = 0.17.6
MYPY_VERSION = 2.4.1
# Third-party clients that tests/thirdparty runs.
THIRDPARTY = .cache/thirdparty
# Only for make torture.
TORTURE_VENV = .cache/torture
TORTURE_TOOLS = schemathesis==4.32.5
TORTURE_INPUTS = 1000000
TORTURE_EXAMPLES = 400
TORTURE_MESSAGES = 20000
TORTURE_CRASHES = 1000
TORTURE_RESTARTS = 100
TORTURE_HISTORIES = 10000
TORTURE_YEARS = 100
TORTURE_SEED =
CRASH = exec $(PYTHON) -m tests.torture.crashpoints $(if $(TORTURE_SEED),--seed $(TORTURE_SEED))
MESSAGES = exec $(PYTHON) -m tests.torture.run --messages $(TORTURE_MESSAGES) $(if $(TORTURE_SEED),--seed $(TORTURE_SEED))
# For make fleet: rounds with all times divided by ten, and rounds in real time.
FLEET_ROUNDS = 100
FLEET_REAL_ROUNDS = 10
FLEET_SEED =
ROUNDS = exec $(PYTHON) -m tests.fleet $(if $(FLEET_SEED),--seed $(FLEET_SEED))
# Recipes use exec: a signal to make then reaches the program, not a shell.
PYTEST = $(PYTHON) -m pytest
SHELL = /bin/bash
# Six processes keep two processors busy: three begin with booted hosts, which mostly wait (tests/conftest.py).
SIDE_BY_SIDE = -n 6 --dist loadfile

# Only what is needed to build the packages.
BUILD_TOOLS = debhelper dh-python pybuild-plugin-pyproject python3-all python3-setuptools python3-click scdoc gettext \
	dpkg-dev git
# What the booted test host needs on this machine. Packages inside it are listed in tests/system/host.py.
HOST_TOOLS = systemd-container mmdebstrap iproute2 nftables
TEST_TOOLS = python3-venv python3-pytest python3-pytest-asyncio python3-pytest-aiohttp python3-pytest-timeout \
	python3-pytest-xdist python3-hypothesis python3-openapi-spec-validator \
	python3-aiohttp python3-aiohttp-socks python3-defusedxml python3-jinja2 python3-systemd python3-sdnotify \
	python3-segno python3-prometheus-client python3-rich python3-cryptography python3-uvloop python3-msgspec systemd man-db \
	zbar-tools unzip chromium chromium-driver python3-selenium python3-requests fonts-noto-cjk strace apprise promtool \
	curl e2fsprogs nodejs npm default-jre-headless python3-dateutil python3-h11

.PHONY: help deps test-packages test-deps base-tree host-tree deb release run i18n docs test lint test-unit test-page \
	test-system mutants mutants-random fleet outsiders bench bare-check clean torture torture-inputs torture-requests \
	torture-messages torture-crashes torture-neighbors torture-sends torture-years

help: ## list these targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the build dependencies
	@tests/system/deps $(BUILD_TOOLS)

test-packages: deps
	@tests/system/deps $(HOST_TOOLS) $(TEST_TOOLS)

test-deps: test-packages ## install the test tools, a pinned ruff and mypy, and third-party clients
	@tests/system/tools $(VENV) $(RUFF_VERSION) $(MYPY_VERSION)
	@tests/thirdparty/fetch $(THIRDPARTY)

base-tree: test-packages
	@$(PYTHON) -m tests.system.host base >/dev/null

# Side by side, as make -j has it or all three: each keeps one processor busy, or waits for a registry.
host-tree: test-packages
	@+exec $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j3) deb test-deps base-tree

deb: deps ## build the packages into dist/
	@tests/system/build-debs

release: host-tree ## build a release in dist/release: packages, source package, wheel, checksums
	@[ -z "$$(git status --porcelain)" ] || { echo "uncommitted changes: commit or stash them first"; exit 1; }
	$(PYTEST) tests/system tests/thirdparty -m release </dev/null
	$(PYTHON) -m tests.outsiders --check dist/*.deb </dev/null
	@tests/system/release

run: deb ## a narrated walk-through in a booted test host (RUN_ARGS=--exit: exit at its end)
	@tests/system/deps $(HOST_TOOLS)
	@exec $(PYTHON) -m tests.system.walkthrough $(RUN_ARGS) dist/*.deb </dev/null

i18n: ## update the message catalogs, and list untranslated texts
	$(PYTHON) -m tests.i18n

docs: ## generate docs/reference and docs/zh/reference from the tables in the code
	$(PYTHON) -m tests.reference

test: host-tree ## everything: lint, unit, contract and system tests
	exec $(PYTEST) tests -m "not release" $(SIDE_BY_SIDE) --durations=10 </dev/null

lint: test-deps ## style, types, import layers, units
	exec $(PYTEST) tests/lint </dev/null

test-unit: test-deps ## all tests that need no booted host
	exec $(PYTEST) $(wildcard tests/lint tests/unit tests/contract tests/fuzz tests/openapi tests/thirdparty) </dev/null

test-page: host-tree ## the dashboard in Chromium; screenshots are kept in build/page
	exec $(PYTEST) tests/page </dev/null

test-system: host-tree ## system tests in a booted host
	exec $(PYTEST) tests/system $(SIDE_BY_SIDE) </dev/null

mutants: test-deps ## break each behavior in tests/mutants.toml and check that its tests fail (MUTANTS=PATTERN: only these)
	exec $(PYTHON) -m tests.mutants $(if $(MUTANTS),--only '$(MUTANTS)') </dev/null

mutants-random: test-deps ## break the code at random, and report how much the tests notice (N=400 SEED= JOBS=)
	exec $(PYTHON) -m tests.mutants_random $(if $(N),--number $(N)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) </dev/null

torture: torture-inputs torture-requests torture-messages torture-crashes torture-neighbors torture-sends torture-years ## long runs: a million inputs, 20,000 messages during failures, 1,000 crashes

torture-inputs: test-deps ## mutated inputs for the decoders (TORTURE_INPUTS=)
	@exec $(PYTHON) -m tests.fuzz --inputs $(TORTURE_INPUTS) </dev/null

torture-requests: test-deps ## requests from the OpenAPI document, right and wrong ones (TORTURE_EXAMPLES=)
	@$(PYTHON) -m venv --system-site-packages $(TORTURE_VENV)
	@$(TORTURE_VENV)/bin/pip -q install --disable-pip-version-check $(TORTURE_TOOLS) </dev/null
	@exec $(PYTHON) -m tests.openapi.edge $(TORTURE_VENV)/bin/schemathesis --examples $(TORTURE_EXAMPLES) </dev/null

torture-messages: host-tree ## messages on two routes while everything around the accounts fails (TORTURE_MESSAGES=, TORTURE_SEED=)
	@$(MESSAGES) --route web </dev/null
	@$(MESSAGES) --route ilink </dev/null

torture-crashes: test-deps ## accounts that end between two durable steps, on each route (TORTURE_CRASHES=, TORTURE_SEED=)
	@$(CRASH) --runs $(TORTURE_CRASHES) </dev/null
	@$(CRASH) --runs $$(($(TORTURE_CRASHES) / 4)) --route ilink </dev/null
	@$(CRASH) --runs $$(($(TORTURE_CRASHES) / 20)) --route filehelper </dev/null

torture-neighbors: host-tree ## restarts of an account while another one takes its port (TORTURE_RESTARTS=)
	NEIGHBOR_RESTARTS=$(TORTURE_RESTARTS) exec $(PYTEST) tests/system/test_neighbors.py -s -k crosses --timeout 7200 </dev/null

bare-check: ## README's commands on a bare machine, and the packages whose programs they execute (BARE_TESTS=: only these)
	@tests/system/deps mmdebstrap e2fsprogs
	@exec $(PYTHON) -m tests.bare $(BARE_TESTS) </dev/null

torture-sends: test-deps ## histories of the send queue: what can happen to sends, in any order (TORTURE_HISTORIES=, TORTURE_SEED=)
	@SEED=$(or $(TORTURE_SEED),$(shell date +%s)) HISTORIES=$(TORTURE_HISTORIES) exec $(PYTEST) tests/unit/client/test_send_machine.py $(if $(TORTURE_SEED),--hypothesis-seed=$(TORTURE_SEED)) </dev/null

torture-years: test-deps ## years of an account's reports, on a simulated clock (TORTURE_YEARS=, TORTURE_SEED=)
	@SEED=$(or $(TORTURE_SEED),$(shell date +%s)) YEARS=$(TORTURE_YEARS) exec $(PYTEST) tests/unit/client/test_year.py --timeout 7200 </dev/null

fleet: host-tree ## rounds of faults in a fleet of three hosts: no overlaps, losses or duplicates (FLEET_ROUNDS=, FLEET_SEED=)
	@$(ROUNDS) --rounds $(FLEET_ROUNDS) </dev/null
	@$(ROUNDS) --rounds $(FLEET_REAL_ROUNDS) --scale 1 </dev/null

outsiders: host-tree ## outside programs on the installed packages with default settings; writes docs/outsiders.md
	@exec $(PYTHON) -m tests.outsiders dist/*.deb </dev/null

bench: host-tree ## benchmarks: the proxy compared with others, one account, many accounts, the page with 300
	@tests/system/deps nginx haproxy caddy
	@mkdir -p build
	$(PYTHON) -m bench.proxy --peers --json build/proxy.json </dev/null
	$(PYTHON) -m bench.plots build/proxy.json build/bench
	$(PYTHON) -m bench.proxy --peers --growth --json build/proxy-growth.json </dev/null
	$(PYTHON) -m bench.plots build/proxy-growth.json build/bench proxy-growth
	$(PYTHON) -m bench.answers </dev/null
	$(PYTHON) -m bench.account </dev/null
	$(PYTHON) -m bench.fleet </dev/null
	$(PYTHON) -m bench.backlog </dev/null
	$(PYTHON) -m bench.figures dist/*.deb </dev/null
	$(PYTHON) -m bench.load dist/*.deb </dev/null
	$(PYTHON) -m bench.many dist/*.deb </dev/null
	$(PYTHON) -m bench.takeover dist/*.deb </dev/null
	$(PYTHON) -m bench.page dist/*.deb </dev/null

clean: ## remove build results, caches and the test host's base tree
	@running=$$($(PYTHON) -m tests.system.host list); [ -z "$$running" ] || \
		{ echo "test hosts are running: $$running; end them first: python3 -m tests.system.host down NAME"; exit 1; }
	rm -rf dist build .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	rm -rf --one-file-system $${TESTHOST_DIR:-/var/tmp/wxcontroller-testhost}
