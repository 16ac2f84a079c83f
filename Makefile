# Thin: every target is a script in tools/ or one cargo command. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo test test-full test-windows check bench microbench codegen fuzz soak install fmt clean

# Seconds that `make fuzz` spends on each fuzz target; `make soak` takes 10m and 4h as well.
TIME ?=
# Where `make install` puts libnetipc.
PREFIX ?= /usr/local

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: ## Set this machine up and show netipc at work on it
	@tools/demo

test: ## Run every check and test, as CI does
	@tools/test

test-full: ## The same with full counts: more property cases, 30 s a fuzz target
	@tools/test --full

test-windows: ## Build for Windows, and run the tests under Wine
	@tools/test --windows

check: ## The quick part of make test: formatting, lints, laws, generated files, copies
	@tools/test --quick

bench: ## Measure netipc on this machine and write the report (QUICK=1: 3 minutes; PAIRS=1: 10; FULL=1: all)
	@tools/bench $(if $(QUICK),quick,$(if $(PAIRS),pairs,$(if $(FULL),full,core)))

microbench: ## Run the benchmarks of single functions
	@tools/bootstrap
	@cargo bench --workspace

codegen: ## Compile spec/schemas/ into the generated files of the tree
	@tools/codegen

fuzz: ## Fuzz each target, in Rust and in Go, for TIME seconds (default 30)
	@tools/bootstrap test
	@tools/fuzz --time $(or $(TIME),30)
	@tools/fuzz-go --time $(or $(TIME),30)

soak: ## Every language with every other while processes end and come back, for TIME (default 10m)
	@tools/bootstrap test
	@tools/soak --time $(or $(TIME),10m)

install: ## Build libnetipc and install it, its headers and its packages below PREFIX (DESTDIR is honoured)
	@tools/bootstrap install
	@cmake -S src/libnetdata/netipc -B target/install -DCMAKE_INSTALL_PREFIX='$(PREFIX)' -DNETIPC_BUILD_TESTS=OFF
	@cmake --build target/install
	@cmake --install target/install

fmt: ## Format all Rust code
	@cargo fmt --all
	@cargo fmt --manifest-path fuzz/Cargo.toml

clean: ## Remove what builds leave behind
	@tools/clean
