# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fuzzing: the command's own files once more, with clang's sanitizers, and a target for each parser.

FUZZ := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_LIB := $(patsubst $(O)/user/%,$(O)/fuzz/user/%,$(LIB_OBJ))
SANITIZE := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined

.PHONY: fuzz fuzz-build
fuzz: fuzz-build ## T=60 seconds of fuzzing for each parser, or F=rules for that one
	$(Q)tests/fuzz/run.sh $(or $(T),60) $(F)
fuzz-build: | need-test
fuzz-build: $(FUZZ)

$(O)/fuzz/user/%.o: user/%.c $(O)/flags | $(SKEL)
	$(call say,FUZZ)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(O)/fuzz/fuzz_%.o: tests/fuzz/fuzz_%.c $(O)/flags | $(O)/portguard.skel.h
	$(call say,FUZZ)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ): %: %.o $(FUZZ_LIB)
	$(call say,LINK)
	$(Q)$(CLANG) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)
