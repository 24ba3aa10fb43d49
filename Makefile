# Builds the programs and runs everything that judges them; `make help` lists the targets.
#
# A source file is found by its folder: common/*/*.c is the shared library, hub/*.c and
# tunnel-client/*.c are the programs, tests/unit/test_*.c and tests/fuzz/fuzz_*.c one program each.
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
VERSION  := 0.5.0

PKGS      := libuv libssl libcrypto yajl libconfig libpcre2-8
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
HUB_OBJ    := $(call obj,$(filter-out hub/main.c,$(wildcard hub/*.c)))
CLIENT_OBJ := $(call obj,$(filter-out tunnel-client/main.c,$(wildcard tunnel-client/*.c)))
PROGRAMS   := $(BUILD)/harp-hub $(BUILD)/harp-tunnel-client
UNIT       := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
FUZZ       := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT_HELP  := $(call obj,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all unit fuzz-build clean

all: $(PROGRAMS)

$(BUILD)/harp-hub: $(call obj,hub/main.c) $(BUILD)/libhub.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/harp-tunnel-client: $(call obj,tunnel-client/main.c) $(BUILD)/libclient.a $(BUILD)/libcommon.a
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libcommon.a: $(COMMON_OBJ)
$(BUILD)/libhub.a: $(HUB_OBJ)
$(BUILD)/libclient.a: $(CLIENT_OBJ)
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

unit: $(UNIT)
$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(UNIT_HELP) $(BUILD)/libhub.a $(BUILD)/libclient.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(TEST_LIBS)

fuzz-build: $(FUZZ)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libhub.a $(BUILD)/libclient.a $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
