# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# portguard: `make` builds ./portguard; `make help` lists the targets. V=1 shows the commands.

VERSION := 0.1.0
PREFIX ?= /usr/local
O := .output

CC ?= gcc
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(patsubst $(O)/%,%,$@))

LIBS := libbpf libelf zlib libpcap json-c libmnl
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 $(WARN) -D_GNU_SOURCE -DPG_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(O)
override CFLAGS += $(shell $(PKG_CONFIG) --cflags $(LIBS) 2>/dev/null)
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS) 2>/dev/null)

ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/; s/ppc64le/powerpc/; s/riscv64/riscv/')
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -D__TARGET_ARCH_$(ARCH) \
	-Iinclude -Ivmlinux -Ibpf

USER_SRC := $(wildcard user/*.c)
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o)
LIB_OBJ := $(filter-out $(O)/user/main.o,$(USER_OBJ))
UNIT := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(O)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
TEST_OBJ := $(addprefix $(O)/tests/,pkt.o bpf/check.o bpf/harness.o bpf/oracle.o bpf/gen.o)
REFEREE_OBJ := $(patsubst tests/%.c,$(O)/tests/%.o,$(wildcard tests/referee/*.c))

.PHONY: all
all: portguard

portguard: $(USER_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/user/%.o: user/%.c | $(O)/portguard.skel.h
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/portguard.bpf.o: bpf/portguard.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/portguard.skel.h: $(O)/portguard.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name portguard_bpf > $@.tmp && mv $@.tmp $@

$(O)/tests/%.o: tests/%.c | $(O)/portguard.skel.h
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Itests -MMD -MP -c -o $@ $<

$(UNIT): $(O)/tests/unit/%: $(O)/tests/unit/%.o $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BPF_TESTS): $(O)/tests/bpf/%: $(O)/tests/bpf/%.o $(TEST_OBJ) $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(O)/tests/unit/test_pkt: $(O)/tests/pkt.o

$(O)/tests/referee/referee: $(REFEREE_OBJ) $(filter-out %/check.o,$(TEST_OBJ)) $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(O)/tests/bench/bench: $(O)/tests/bench/bench.o $(O)/tests/pkt.o $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(O)/tests/net/send: $(O)/tests/net/send.o $(O)/tests/pkt.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) -o $@ $^

.PHONY: clean
clean:
	$(Q)rm -rf $(O) portguard

-include $(shell find $(O) -name '*.d' 2>/dev/null)
.DELETE_ON_ERROR:
.SECONDARY:
