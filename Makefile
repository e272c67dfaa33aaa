# lighterman. The commands a person needs; each one installs or names what it lacks.
#
#   make            build the program (release): target/release/lighterman
#   make demo       build it and run it in front of a small origin, with things to try
#   make test       everything that must pass: format, lints, tests, documentation
#   make test-oracle   the same configurations and requests on Debian's haproxy and here, compared
#   make bench      measure it, side by side with the peers found in PATH
#   make doc        write doc/reference again from the keyword tables, and the API pages
#   make bless      accept the present output of the program as the expected one of the tests
#   make install    into $(DESTDIR)$(PREFIX), default /usr/local
#   make deps       install the Debian packages that building and testing need

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=
TARGET  := $(or $(CARGO_TARGET_DIR),target)

# The TLS library is built from source: cmake, and libclang for its bindings.
BUILD_DEPS := cmake:cmake clang:clang libclang-dev:libclang.so
DEMO_DEPS  := openssl:openssl curl:curl socat:socat
BENCH_DEPS := $(DEMO_DEPS) python3:python3
# The check against the distribution's TLS library, and a peer to talk to where the machine is ours alone.
TEST_DEPS  := $(DEMO_DEPS) python3:python3 pkg-config:pkg-config libssl-dev:openssl.pc $(if $(CI),haproxy:haproxy)

.PHONY: all build demo test test-oracle bench doc bless install deps deps-build deps-demo deps-bench deps-oracle deps-test clean

all: build

build: deps-build
	$(CARGO) build --release --bin lighterman
	@ls -l $(TARGET)/release/lighterman

demo: deps-demo
	@contrib/demo/run.sh

test: deps-test
	@tests/all.sh

test-oracle: deps-oracle
	LIGHTERMAN_ORACLE=1 $(CARGO) test --test it -- oracle commands::about acl_files map_files

bench: deps-bench
	$(CARGO) build --release --workspace --bins
	@contrib/bench/run.sh $(ARGS)

doc: deps-build
	LIGHTERMAN_BLESS=reference $(CARGO) test --quiet --lib reference
	$(CARGO) doc --no-deps --workspace --quiet
	@echo "doc/reference is up to date; API pages: $(TARGET)/doc/lighterman/index.html"

bless: deps-build
	LIGHTERMAN_BLESS=all $(CARGO) test --quiet --workspace
	@git --no-pager diff --stat

install: build
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/doc/lighterman
	install -m 755 $(TARGET)/release/lighterman $(DESTDIR)$(PREFIX)/sbin/lighterman
	cp -r README.md LICENSE-MIT LICENSE-APACHE doc/* $(DESTDIR)$(PREFIX)/share/doc/lighterman/

deps: deps-test

deps-build: ; @tests/deps.sh $(BUILD_DEPS)
deps-demo:  ; @tests/deps.sh $(BUILD_DEPS) $(DEMO_DEPS)
deps-bench: ; @tests/deps.sh $(BUILD_DEPS) $(BENCH_DEPS)
deps-oracle: ; @tests/deps.sh $(BUILD_DEPS) haproxy:haproxy
deps-test:  ; @tests/deps.sh $(BUILD_DEPS) $(TEST_DEPS)

clean:
	$(CARGO) clean
