# SPDX-License-Identifier: MIT
# A thin face: every target is one script. Everything that is compiled or tested runs in the
# reference root that scripts/root makes in a cache folder; see Documentation/setup.rst.

.DEFAULT_GOAL := help
.PHONY: help run build check soak fuzz bench install modules modules-all check-driver check-driver-full shell clean distclean

help:
	@echo 'make run        set up, then train, evaluate and generate (first time some minutes)'
	@echo 'make check      set up, then all tests; last line: N passed, N failed, N skipped'
	@echo 'make build      only build: build/tools/tram, build/runtime/libtram.so'
	@echo 'make soak       the long tests'
	@echo 'make fuzz       every reader against mutated files, FUZZ_SECONDS=$(FUZZ_SECONDS) each'
	@echo 'make bench      speed and memory beside the peers; installs those first'
	@echo 'make modules     tramroad.ko for the kernel that runs here, with its own headers'
	@echo 'make modules-all tramroad.ko for every kernel of the reference root'
	@echo 'make check-driver  only the tests of the kernel module; guests, nothing is loaded here'
	@echo 'make check-driver-full  builds a debug kernel first (20 minutes, once)'
	@echo 'make shell      a shell in the reference root'
	@echo 'make install    install the library, headers and tool; PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo 'make clean      remove what was built here'
	@echo 'make distclean  the same, and what make run wrote, and the reference roots'
	@echo './tram VERB ... run the tool; ./tram --help'

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30
export FUZZ_SECONDS

run: build
	@scripts/root enter run scripts/run-main

build:
	@scripts/build run build

check:
	@scripts/check

soak:
	@scripts/soak

fuzz:
	@scripts/fuzz

bench: build
	@scripts/bench

install:
	@scripts/install '$(PREFIX)' '$(DESTDIR)'

modules:
	@scripts/modules running

modules-all:
	@scripts/modules all

check-driver:
	@scripts/check modules guests guest-debug

check-driver-full:
	@scripts/kernel-debug make
	@scripts/check modules guests guest-debug

shell:
	@scripts/root make full
	@scripts/root enter full bash

clean:
	rm -rf build build-*

distclean: clean
	rm -rf runs
	scripts/root remove
