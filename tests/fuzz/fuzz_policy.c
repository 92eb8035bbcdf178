// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a state directory holds of a policy: the memory of policy_0, and what stands in it. */
#include "fuzz.h"

#include "dp_impl.h"
#include "policy.h"

static void decode(const void *text, size_t n)
{
	struct pg_ruleset *set = NULL, *again = NULL;
	struct pg_text first = { 0 }, second = { 0 };
	struct pg_err err = { 0 };

	if (pg_policy_decode(text, n, &set, &err)) {
		MUST(err.text[0]);
		return;
	}
	MUST(!pg_policy_encode(set, &first));
	MUST(!pg_policy_decode(first.buf, first.len, &again, &err));
	MUST(!pg_policy_encode(again, &second));
	MUST(first.len == second.len && !memcmp(first.buf, second.buf, first.len));
	pg_ruleset_free(set);
	pg_ruleset_free(again);
	pg_text_free(&first);
	pg_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	void *memory = malloc(n ?: 1), *text = NULL;
	size_t len;

	memcpy(memory, data, n);
	if (!pg_dp_text_copy(memory, n, 1, &text, &len))
		decode(text, len);
	free(text);
	free(memory);
	return 0;
}
