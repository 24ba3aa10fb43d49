# Builds the programs and runs everything that judges them; `make help` lists the targets.
#
# A source file is found by its folder: common/*/*.c is the shared library, hub/*.c hub/*/*.c,
# tunnel-client/*.c and socket-filter/*/*.c are the programs (socket-filter/ship/*.c is one of its own),
# tests/unit/test_*.c and tests/fuzz/fuzz_*.c one program each.
# BUILD= names the folder of a variant (make BUILD=build/asan SANITIZE=address,undefined).

BUILD    ?= build
ifeq ($(origin CC),default)
CC       := gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
SANITIZE ?=
OPT      ?= -O2
WERROR   ?=
VERSION  := 0.8.0
# `make V=1` shows the commands.
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

PKGS      := libuv libssl libcrypto libcurl libwebsockets yajl libconfig libpcre2-8 libseccomp
PKGS_TEST := cmocka
WARN      := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
             -Wwrite-strings -Wvla $(if $(WERROR),-Werror)
HARDEN    := -fstack-protector-strong -fPIE $(if $(SANITIZE),,-D_FORTIFY_SOURCE=2)
SAN       := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CPPFLAGS  += -I. -D_GNU_SOURCE -DHARP_VERSION='"$(VERSION)"'
CFLAGS    += -std=gnu11 $(OPT) -g $(WARN) $(HARDEN) $(SAN)
LDFLAGS   += -pie -Wl,-z,relro,-z,now $(SAN)

# Asked for only when something is compiled: `make deps` must run before the packages are there.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $(shell pkg-config --libs $(PKGS)) -lpthread)$(PKG_LIBS)
TEST_LIBS  = $(eval TEST_LIBS := $(shell pkg-config --libs $(PKGS_TEST)))$(TEST_LIBS)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

COMMON_OBJ := $(call obj,$(wildcard common/*/*.c))
HUB_OBJ    := $(call obj,$(filter-out hub/main.c,$(wildcard hub/*.c hub/*/*.c)))
CLIENT_OBJ := $(call obj,$(filter-out tunnel-client/main.c,$(wildcard tunnel-client/*.c)))
SHIP_OBJ   := $(call obj,$(wildcard socket-filter/ship/*.c))
FILTER_OBJ := $(filter-out $(SHIP_OBJ),$(call obj,$(wildcard socket-filter/*/*.c)))
PROGRAMS   := $(BUILD)/harp-hub $(BUILD)/harp-tunnel-client \
              $(if $(wildcard socket-filter/main.c),$(BUILD)/harp-socket-filter) \
              $(if $(wildcard socket-filter/ship/main.c),$(BUILD)/harp-audit-ship)
UNIT       := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ       := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELP  := $(call obj,$(filter-out $(wildcard tests/fuzz/fuzz_*.c),$(wildcard tests/fuzz/*.c)))
UNIT_HELP  := $(call obj,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all unit fuzz-build clean FORCE

# Without a command of its own, make would say that there was nothing to do.
all: $(PROGRAMS)
	@:

$(BUILD)/harp-hub: $(call obj,hub/main.c) $(BUILD)/libhub.a $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/harp-tunnel-client: $(call obj,tunnel-client/main.c) $(BUILD)/libclient.a $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/harp-socket-filter: $(call obj,socket-filter/main.c) $(BUILD)/libfilter.a $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# What needs libcurl, and a network, is no part of the program that stands before the Docker socket.
$(BUILD)/harp-audit-ship: $(SHIP_OBJ) $(BUILD)/libfilter.a $(BUILD)/libcommon.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libcommon.a: $(COMMON_OBJ)
$(BUILD)/libhub.a: $(HUB_OBJ)
$(BUILD)/libclient.a: $(CLIENT_OBJ)
$(BUILD)/libfilter.a: $(FILTER_OBJ)
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Changes when VERSION does, and everything is made anew then: several files have it in them.
$(BUILD)/version: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(VERSION)' | cmp -s - $@ || printf '%s\n' '$(VERSION)' >$@

$(BUILD)/obj/%.o: %.c $(BUILD)/version
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

unit: $(UNIT)
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELP) $(BUILD)/libhub.a $(BUILD)/libclient.a \
                  $(BUILD)/libfilter.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)

fuzz-build: $(FUZZ)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(FUZZ_HELP) $(BUILD)/libhub.a $(BUILD)/libclient.a \
                  $(BUILD)/libfilter.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

FUZZ_SECONDS ?= 30
FUZZ_BUILD   ?= build/fuzzing
JOBS         ?= $(shell nproc)
CLANG        ?= clang
C_FILES       = $(wildcard common/*/*.c hub/*.c hub/*/*.c tunnel-client/*.c \
                socket-filter/*.c socket-filter/*/*.c \
                tests/unit/*.c tests/fuzz/*.c tests/bench/*.c)
H_FILES       = $(wildcard common/*/*.h hub/*.h hub/*/*.h tunnel-client/*.h \
                socket-filter/*.h socket-filter/*/*.h \
                tests/unit/*.h tests/fuzz/*.h tests/bench/*.h)
SHELL_FILES   = $(wildcard .ci/run tests/*.sh tests/*/*.sh deploy/*.sh deploy/*/*.sh deploy/debian/*.post*)

.PHONY: help deps test test-fresh check demo lint lint-format lint-tidy lint-cppcheck lint-shell bench fuzz \
        image man deb install install-files uninstall

help:
	@echo 'make            builds the programs in $(BUILD)/'
	@echo 'make demo       the whole path on this machine, until Ctrl-C'
	@echo 'make test       installs what is missing, builds, runs all tests'
	@echo 'make check      unit tests alone, quick'
	@echo 'make lint       clang-format, clang-tidy, cppcheck, shellcheck'
	@echo 'make fuzz       each parser for FUZZ_SECONDS ($(FUZZ_SECONDS))'
	@echo 'make bench      beside haproxy and nginx'
	@echo 'make image      container images, from the programs and the libraries they need'
	@echo 'make deb        Debian packages, in $(BUILD)/deb'
	@echo 'make install    to $$(DESTDIR)$$(PREFIX), and settings to $$(DESTDIR)/etc/harp; make uninstall'
	@echo 'make test-fresh both commands of the README in bare Debian 12 and 13 systems; needs root'

deps:
	@tests/deps.sh test

# Sub-makes, because pkg-config can only answer once the packages are there.
test: deps
	@tests/servers.sh || true # their tests say what is missing
	@$(MAKE) --no-print-directory -j$(JOBS) all unit
	@tests/run.py --build $(BUILD)

check: unit
	@tests/run.py --build $(BUILD) --suite unit

demo: deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@BUILD=$(BUILD) deploy/demo/demo.sh

bench: all
	@tests/deps.sh bench
	@/usr/bin/python3 tests/bench/run.py

lint: lint-format lint-tidy lint-cppcheck lint-shell

lint-format:
	clang-format --dry-run -Werror $(C_FILES) $(H_FILES)

# What users run. Tests are tables of bytes, which several checks take for mistakes.
# clang-tidy reports the number of its own notes on stderr; findings go to stdout. The analyzer's budget for
# a function is a third of its default: what it finds beyond that has been nothing, and took most of the time.
lint-tidy:
	@printf '%s\n' $(filter-out tests/%,$(C_FILES)) | xargs -P$(JOBS) -n4 sh -c 'clang-tidy --quiet "$$@" -- \
	    -std=gnu11 -I. -D_GNU_SOURCE -DHARP_VERSION=\"x\" -Xclang -analyzer-config -Xclang max-nodes=75000 \
	    $(PKG_CFLAGS) 2>/dev/null' sh

lint-cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
	    --error-exitcode=1 -j$(JOBS) -I. -D_GNU_SOURCE -DHARP_VERSION='"x"' \
	    common hub tunnel-client socket-filter

lint-shell:
	shellcheck $(SHELL_FILES)

# New finds go to $(FUZZ_BUILD)/found; a seed worth keeping is copied to tests/fuzz/corpus by hand.
fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-build BUILD=$(FUZZ_BUILD) CC=$(CLANG) OPT=-O1 \
	    SANITIZE=address,undefined,fuzzer-no-link
	@printf '%s\n' $(FUZZ_BUILD)/fuzz/fuzz_* | \
	    xargs -P$(JOBS) -n1 tests/fuzz/run.sh $(FUZZ_BUILD) $(FUZZ_SECONDS)

image: all
	@deploy/image.sh $(BUILD) $(VERSION)

# What the programs say of themselves is part of the pages.
man: all
	@deploy/man/render.sh $(BUILD)

install: man
	@$(MAKE) --no-print-directory install-files

# Of programs and pages that are there (deploy/debian/rules).
install-files:
	@deploy/install.sh install $(BUILD) $(PREFIX) $(DESTDIR)

uninstall:
	@deploy/install.sh uninstall $(BUILD) $(PREFIX) $(DESTDIR)

# Only the programs are taken from $(BUILD); all else is made by deploy/debian/rules.
deb: man
	@deploy/deb.sh $(BUILD) $(VERSION)

test-fresh:
	@tests/fresh.sh

clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
