# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# portguard: `make` builds ./portguard; `make help` lists the targets. V=1 shows the commands.

VERSION := 0.1.0
PREFIX ?= /usr/local
O := .output

ifeq ($(origin CC),default)
CC := gcc
endif
# Which clang and bpftool these are is asked once, and only when something is built with them.
CLANG := $(or $(CLANG),$(shell packaging/deps.sh clang))
BPFTOOL := $(or $(BPFTOOL),$(shell packaging/deps.sh bpftool))
PKG_CONFIG ?= pkg-config
INSTALL ?= install
export CC CLANG BPFTOOL PKG_CONFIG
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(patsubst $(O)/%,%,$@))

LIBS := libbpf libelf zlib libpcap json-c libmnl libconfuse libmicrohttpd libseccomp libcap
# Where it is there: attach --multiprog.
LIBXDP := $(shell $(PKG_CONFIG) --exists libxdp 2>/dev/null && echo libxdp)
LIBS += $(LIBXDP)
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS ?= -O2 -g
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIBS) 2>/dev/null)
override CFLAGS += -std=gnu11 $(WARN) -D_GNU_SOURCE -DPG_VERSION='"$(VERSION)"' -Iinclude -Iuser -I$(O)
override CFLAGS += $(LIB_CFLAGS)
LDLIBS := $(shell $(PKG_CONFIG) --libs $(LIBS) ncursesw 2>/dev/null)

ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/; s/ppc64le/powerpc/; s/riscv64/riscv/')
SKEL := $(addprefix $(O)/,portguard.skel.h entry.skel.h mark.skel.h)
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror -D__TARGET_ARCH_$(ARCH) \
	-Iinclude -Ivmlinux -Ibpf $(LIB_CFLAGS)

USER_SRC := $(filter-out user/$(if $(LIBXDP),dp_multi_none.c,dp_multi.c),$(wildcard user/*.c))
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o)
USER_OBJ += $(O)/web.o
LIB_OBJ := $(filter-out $(O)/user/main.o,$(USER_OBJ))
# The page of `portguard serve`, as it stands in the binary; `make web` fetches what is in vendor/.
WEB := $(sort $(wildcard user/web/*.html user/web/*.js user/web/*.css user/web/*.svg)) \
	$(sort $(wildcard user/web/vendor/*))
UNIT := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(O)/tests/bpf/%,$(wildcard tests/bpf/test_*.c))
TEST_OBJ := $(addprefix $(O)/tests/,pkt.o bpf/check.o bpf/harness.o bpf/oracle.o bpf/gen.o)
VM_BPF := $(addprefix $(O)/tests/vm/,other.bpf.o xdp-dispatcher.bpf.o) $(if $(LIBXDP),$(O)/tests/vm/other)
# The programs by another compiler, beside those of $(CLANG).
OTHER_CLANG := $(O)/clang-19
BENCH_OBJ := $(patsubst tests/%.c,$(O)/tests/%.o,$(filter-out %.bpf.c,$(wildcard tests/bench/*.c)))
REFEREE_OBJ := $(patsubst tests/%.c,$(O)/tests/%.o,$(wildcard tests/referee/*.c))
NET_TOOLS := $(addprefix $(O)/tests/,referee/referee net/send net/list net/states net/answers net/local \
	net/from net/hold net/flows net/dialog net/meddle \
	net/layout)

.PHONY: all
all: portguard ## build ./portguard (the default)
	$(call give_back)

# What `sudo make` builds in somebody's tree is theirs, or their next `make` could not replace it.
give_back = $(if $(FOREIGN),$(Q)chown -R --reference=Makefile $(wildcard $(O) portguard))
FOREIGN := $(if $(filter 0,$(shell id -u)),$(filter-out 0,$(shell stat -c %u Makefile)))
ifneq ($(FOREIGN),)
_ := $(shell chown -R --reference=Makefile $(wildcard $(O) portguard) 2>/dev/null)
endif

.PHONY: check
check: | need-test ## tests that need no privileges: unit tests, rule files, headers
check: portguard $(UNIT)
	$(call give_back)
	$(Q)tests/run.sh check

.PHONY: test
test: deps ## install what is missing, then all tests: also BPF, namespaces, captures
	$(Q)$(MAKE) --no-print-directory test-build
	$(Q)tests/run.sh all

.PHONY: test-build
test-build: portguard $(UNIT) $(BPF_TESTS) $(OTHER_CLANG)/portguard $(OTHER_CLANG)/test_load $(VM_BPF) $(NET_TOOLS) fuzz-build \
		$(O)/tests/bench/bench
	$(call give_back)

# SEED=, ROUND=, STATES=, WINDOWS=, SPOIL= and FEATURES= as tests/referee/referee.c describes them.
.PHONY: test-diff
test-diff: portguard $(O)/tests/referee/referee ## N=1000000 verdicts against the kernel's iptables (root)
	$(call give_back)
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env PG_N=$(or $(N),1000000) PG_SEED=$(SEED) \
		PG_ROUND=$(ROUND) PG_STATES=$(STATES) PG_WINDOWS=$(WINDOWS) \
		PG_SPOIL=$(SPOIL) PG_FEATURES=$(FEATURES) PG_TEST_DATA='$(PG_TEST_DATA)' \
		PG_TEST_TIMEOUT=0 tests/net/test_referee.sh

.PHONY: test-mutants
test-mutants: portguard $(NET_TOOLS) ## put bugs into a copy: does the comparison find each? (root, minutes)
	$(call give_back)
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env PG_N=$(N) V=$(V) tests/referee/mutants.sh all

.PHONY: soak
soak: portguard $(O)/tests/net/send ## T=600 seconds of floods and commands: does all add up? (root)
	$(call give_back)
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env PG_SOAK=$(or $(T),600) tests/net/test_soak.sh

# The kernel table in README.md: `make test-vm && make kernel-table`.
.PHONY: test-vm
test-vm: | need-test
test-vm: portguard deb $(OTHER_CLANG)/portguard $(OTHER_CLANG)/test_load $(BPF_TESTS) $(VM_BPF) ## other kernels, emulated, and Debian's boot; FULL=1 the BPF tests, too (root)
	$(call give_back)
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env 'FULL=$(FULL)' 'PG_KERNELS=$(PG_KERNELS)' tests/vm/matrix.sh
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env 'PG_KERNELS=$(PG_KERNELS)' tests/vm/units.sh || [ $$? = 77 ]

.PHONY: kernel-table
kernel-table: ## what the last `make test-vm` found, into README.md
	$(Q)packaging/kernel-table.sh $(O)/vm/table.md README.md

.PHONY: bench
bench: | need-bench ## what a packet costs, beside other filters: table, bench.json, bench.svg (root)
bench: $(O)/tests/bench/bench
	$(call give_back)
	$(Q)$(if $(filter-out 0,$(shell id -u)),sudo) env 'PG_TEST_DATA=$(PG_TEST_DATA)' $< \
		--json $(O)/bench.json --svg $(O)/bench.svg $(BENCH)
	$(call give_back)

.PHONY: demo
demo: deps ## install what is missing, build, and show it: a lab of its own, or IFACE=eth0
	$(Q)$(MAKE) --no-print-directory all
	$(Q)packaging/demo.sh $(if $(IFACE),'$(IFACE)')

.PHONY: deps
deps: ## install the tools and libraries that are missing (apt-get or dnf; calls sudo)
	$(Q)packaging/deps.sh install build test demo pack

.PHONY: deps-bench
deps-bench: ## install the filters that `make bench` compares with, and gnuplot
	$(Q)packaging/deps.sh install build bench

.PHONY: need-build need-test need-bench
need-build need-test need-bench: need-%:
	$(Q)packaging/deps.sh check $(if $(filter test,$*),build test,build)
	$(if $(filter bench,$*),$(Q)packaging/deps.sh check bench || echo "portguard: going on without")
	$(Q)mkdir -p $(O) && test -w $(O) || \
		{ echo "$(O) cannot be written to (built by root?): remove it as its owner" >&2; exit 1; }

.PHONY: vmlinux
vmlinux: | need-build ## generate vmlinux/vmlinux.h anew from the running kernel
	$(Q)mkdir -p $(O)
	$(Q)$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c >$(O)/vmlinux.dump
	$(Q)awk -v want=vmlinux/types.txt -v from="$$(uname -r | cut -d- -f1)" -f vmlinux/trim.awk \
		$(O)/vmlinux.dump >$(O)/vmlinux.h
	$(Q)rm $(O)/vmlinux.dump && mv $(O)/vmlinux.h vmlinux/vmlinux.h

# What is in user/web/vendor is what npm gives for user/web/package-lock.json; who builds needs no npm.
.PHONY: web
web: ## fetch the page's chart library anew into user/web/vendor (npm)
	$(Q)mkdir -p $(O)/web
	$(Q)cp user/web/package.json user/web/package-lock.json $(O)/web
	$(Q)cd $(O)/web && npm ci --ignore-scripts --no-audit --no-fund
	$(Q)mkdir -p user/web/vendor
	$(Q)cp $(O)/web/node_modules/uplot/dist/uPlot.iife.min.js \
		$(O)/web/node_modules/uplot/dist/uPlot.min.css user/web/vendor
	$(Q)cp $(O)/web/node_modules/uplot/LICENSE user/web/vendor/uPlot-LICENSE.txt
	$(Q)chmod 644 user/web/vendor/*

# Manual pages: a text by hand, with @WORD@ where the program's own tables belong.
MAN := $(patsubst docs/%.in,$(O)/man/%,$(wildcard docs/*.in))
$(O)/man/%: docs/%.in portguard
	$(call say,MAN)
	$(Q)mkdir -p $(@D)
	$(Q)while IFS= read -r line; do case $$line in \
		@*@) PORTGUARD_CONFIG= ./portguard manual \
			"$$(echo "$$line" | tr -d @ | tr A-Z a-z)" || exit ;; \
		*) printf '%s\n' "$$line" ;; esac; done <$< >$@

$(O)/completion/%: portguard
	$(call say,SHELL)
	$(Q)mkdir -p $(@D)
	$(Q)PORTGUARD_CONFIG= ./portguard completion $* >$@
COMPLETION := $(addprefix $(O)/completion/,bash zsh fish)

.PHONY: man
man: $(MAN) ## the manual pages, to .output/man

SHARE = $(PREFIX)/share
UNITDIR ?= $(PREFIX)/lib/systemd/system
LIBEXECDIR ?= $(PREFIX)/lib/portguard
SYSCONFDIR ?= /etc
ZSHDIR ?= $(SHARE)/zsh/site-functions
# file, mode, where to (a folder, or a name): `make install` and `uninstall` go through it.
define INSTALLED
portguard 755 $(PREFIX)/sbin/portguard
$(foreach m,$(MAN),$m 644 $(SHARE)/man/man$(subst .,,$(suffix $m))/$(notdir $m)
)
$(O)/completion/bash 644 $(SHARE)/bash-completion/completions/portguard
$(O)/completion/zsh 644 $(ZSHDIR)/_portguard
$(O)/completion/fish 644 $(SHARE)/fish/vendor_completions.d/portguard.fish
$(O)/systemd/portguard@.service 644 $(UNITDIR)/portguard@.service
$(O)/systemd/portguard-serve.service 644 $(UNITDIR)/portguard-serve.service
packaging/fail2ban/portguard.conf 644 $(SYSCONFDIR)/fail2ban/action.d/portguard.conf
packaging/crowdsec/portguard-crowdsec 755 $(LIBEXECDIR)/portguard-crowdsec
$(O)/crowdsec/crowdsec-custom-bouncer.yaml 644 $(DOC)/crowdsec-custom-bouncer.yaml
$(foreach d,README.md CHANGELOG.md docs/architecture.md docs/serve.md $(wildcard packaging/prometheus/* packaging/grafana/*),$d 644 $(DOC)/$(notdir $d)
)
$(foreach d,LICENSE $(wildcard LICENSES/*.txt),$d 644 $(DOC)/$(notdir $d)
)
endef
export INSTALLED
DOC ?= $(SHARE)/doc/portguard

$(O)/%: packaging/%.in $(O)/flags
	$(Q)mkdir -p $(@D)
	$(Q)sed 's|@SBINDIR@|$(PREFIX)/sbin|g; s|@LIBDIR@|$(LIBEXECDIR)|g' $< >$@
UNITS := $(patsubst packaging/%.in,$(O)/%,$(wildcard packaging/*/*.in))

# Configuration that is there already is somebody's, and stays.
.PHONY: install
install: portguard $(MAN) $(COMPLETION) $(UNITS) ## program, manual, completion, units; to $(DESTDIR)$(PREFIX)
	$(call give_back)
	$(Q)echo "$$INSTALLED" | while read -r from mode to; do \
		[ -z "$$from" ] || $(INSTALL) -D -m $$mode "$$from" '$(DESTDIR)'"$$to" || exit; done
	$(Q)$(INSTALL) -d '$(DESTDIR)$(SYSCONFDIR)/portguard'
	$(Q)for file in portguard.conf rules; do \
		[ -e '$(DESTDIR)$(SYSCONFDIR)/portguard/'$$file ] || $(INSTALL) -m 644 packaging/$$file \
			'$(DESTDIR)$(SYSCONFDIR)/portguard/' || exit; done

.PHONY: uninstall
uninstall: ## remove what `make install` installed, but for /etc/portguard
	$(Q)echo "$$INSTALLED" | while read -r from mode to; do \
		[ -z "$$from" ] || rm -f '$(DESTDIR)'"$$to"; done
	$(Q)rm -rf '$(DESTDIR)$(DOC)' '$(DESTDIR)$(LIBEXECDIR)'

.PHONY: deb
deb: | need-build ## a Debian package, to .output/deb
	$(Q)packaging/deb.sh $(VERSION)
	$(call give_back)

# What compilers and checkers find without running anything; each file's result is kept until it changes.
LINT := $(USER_SRC:%.c=$(O)/lint/%)
$(O)/lint/user/%: user/%.c .clang-tidy packaging/lint.sh $(O)/flags | $(SKEL)
	$(call say,LINT)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -M -MP -MT $@ -MF $@.d $<
	$(Q)packaging/lint.sh $< $(CFLAGS)
	$(Q)touch $@

.PHONY: lint-code
lint-code: $(LINT) ## gcc -fanalyzer, clang-tidy, cppcheck, shellcheck: `make -j2 lint-code`
	$(Q)packaging/lint.sh scripts

.PHONY: valgrind
valgrind: $(UNIT) ## the unit tests under valgrind
	$(Q)tests/valgrind.sh all

.PHONY: clean
clean: ## remove all that was built
	$(Q)rm -rf $(O) portguard

.PHONY: help
help: ## this list
	@awk -F ' *## *' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo "  V=1 shows the commands, CC=clang compiles with clang, PREFIX=$(PREFIX) DESTDIR= say where to."
	@echo "  PG_TEST_DATA=FOLDER gives \`make test\` real captures to read."

# Other compilers or options than the last time: build all of it anew.
$(O)/flags: FORCE | need-build
	@echo '$(subst ','\'',$(CC) $(CFLAGS) $(LDFLAGS) $(CLANG) $(BPF_CFLAGS))' >$@.tmp; \
		if cmp -s $@.tmp $@; then rm $@.tmp; else mv $@.tmp $@; fi
.PHONY: FORCE
FORCE:

portguard: $(USER_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/user/%.o: user/%.c $(O)/flags | $(SKEL)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/web.c: user/web/embed.sh $(WEB) $(O)/flags
	$(call say,WEB)
	$(Q)user/web/embed.sh $(WEB) >$@

$(O)/web.o: $(O)/web.c $(O)/flags
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/user/term.o $(O)/fuzz/user/term.o: override CFLAGS += $(shell $(PKG_CONFIG) --cflags ncursesw 2>/dev/null)

$(SKEL:.skel.h=.bpf.o): $(O)/%.bpf.o: bpf/%.bpf.c $(O)/flags
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(SKEL): $(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.tmp && mv $@.tmp $@

$(O)/tests/%.bpf.o: tests/%.bpf.c $(O)/flags
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/tests/bpf/%.skel.h: $(O)/tests/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@.tmp && mv $@.tmp $@

$(O)/tests/bpf/test_set.o: | $(O)/tests/bpf/set.skel.h

$(O)/tests/%.o: tests/%.c $(O)/flags | $(SKEL)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -Itests -MMD -MP -c -o $@ $<

$(UNIT): $(O)/tests/unit/%: $(O)/tests/unit/%.o $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BPF_TESTS): $(O)/tests/bpf/%: $(O)/tests/bpf/%.o $(TEST_OBJ) $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(O)/clang-%/portguard.bpf.o: bpf/portguard.bpf.c $(O)/flags
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)clang-$* $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/clang-%/portguard.skel.h: $(O)/clang-%/portguard.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name portguard_bpf > $@.tmp && mv $@.tmp $@

# Nothing else includes the skeleton.
$(O)/clang-%/dp_load.o: user/dp_load.c $(O)/clang-%/portguard.skel.h $(O)/flags
	$(call say,CC)
	$(Q)$(CC) -I$(@D) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/clang-%/portguard: $(O)/clang-%/dp_load.o $(filter-out %/dp_load.o,$(USER_OBJ))
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/clang-%/test_load: $(O)/clang-%/dp_load.o $(O)/tests/bpf/test_load.o $(filter-out %/dp_load.o,$(LIB_OBJ))
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(O)/tests/unit/test_pkt $(O)/tests/unit/test_packet: $(O)/tests/pkt.o

$(O)/tests/referee/referee: $(REFEREE_OBJ) $(filter-out %/check.o,$(TEST_OBJ)) $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The mutator is the bench's own program; it shares nothing with portguard's.
$(O)/tests/bench/mutate.skel.h: $(O)/tests/bench/mutate.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name mutate_bpf > $@.tmp && mv $@.tmp $@

$(O)/tests/bench/kern.o: $(O)/tests/bench/mutate.skel.h

$(O)/tests/unit/test_classbench: $(O)/tests/bench/classbench.o $(O)/tests/bench/rules.o

$(O)/tests/bench/bench: $(BENCH_OBJ) $(O)/tests/pkt.o $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(addprefix $(O)/tests/net/,list states flows layout): %: %.o $(LIB_OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(addprefix $(O)/tests/net/,dialog answers hold local meddle): %: %.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(O)/tests/vm/other: %: %.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(O)/tests/net/send $(O)/tests/net/from: %: %.o $(O)/tests/pkt.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

include tests/fuzz/fuzz.mk

-include $(shell find $(O) -path $(O)/vm -prune -o -name '*.d' -print 2>/dev/null)
.DELETE_ON_ERROR:
.SECONDARY:
