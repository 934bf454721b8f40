// SPDX-License-Identifier: GPL-2.0
/* Checks the verdict about a machine, and that the output of info --json is JSON. */
#include <ctype.h>

#include "spawn.h"
#include "tap.h"
#include "verdict.h"

static struct child c;
static struct verdict v;

/* The MSRs of a processor that has everything; the tests take something away. */
static struct {
	uint32_t index;
	uint64_t val;
	bool absent;
} msrs[] = {
	{ 0x03a, 5, false },
	{ 0x480, 6ULL << 50 | 1ULL << 55, false },
	{ 0x48b, ~0ULL << 32, false },
	{ 0x48c, ~0ULL, false },
	{ 0x48d, ~0ULL << 32, false },
	{ 0x48e, ~0ULL << 32, false },
	{ 0x48f, ~0ULL << 32, false },
	{ 0x490, ~0ULL << 32, false },
};

static bool fake_msr(void *ctx, uint32_t index, uint64_t *val)
{
	(void)ctx;
	for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		if (msrs[i].index != index || msrs[i].absent)
			continue;
		*val = msrs[i].val;
		return true;
	}
	return false;
}

static struct machine_facts facts;

static void fresh(void)
{
	facts = (struct machine_facts){ .has_vmx = true, .msr = fake_msr };
}

/* Judges the machine with one MSR set to another value. */
static void judge_with(uint32_t index, uint64_t val, bool absent)
{
	for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		uint64_t was = msrs[i].val;

		if (msrs[i].index != index)
			continue;
		msrs[i].val = val;
		msrs[i].absent = absent;
		verdict_reach(&facts, &v);
		msrs[i].val = was;
		msrs[i].absent = false;
	}
}

static bool lacks(const char *text)
{
	for (unsigned int i = 0; i < v.nr_missing; i++)
		if (strstr(v.missing[i], text))
			return v.answer == CANNOT_RUN;
	return false;
}

static void check_verdict(void)
{
	fresh();
	verdict_reach(&facts, &v);
	ok(v.answer == CAN_RUN && !v.nr_missing && strstr(v.advice, "insmod"));
	facts.kvm_loaded = true;
	verdict_reach(&facts, &v);
	ok(v.answer == CAN_RUN && strstr(v.advice, "rmmod kvm_intel"));
	facts.kvm_loaded = false;
	facts.droste_loaded = true;
	facts.device_opened = true;
	facts.msr_error = ENOENT;
	verdict_reach(&facts, &v);
	ok(v.answer == CAN_RUN && !*v.advice);

	fresh();
	facts.msr_error = ENOENT;
	verdict_reach(&facts, &v);
	ok(v.answer == NOT_KNOWN && strstr(v.advice, "modprobe msr"));
	facts.msr_error = EACCES;
	verdict_reach(&facts, &v);
	ok(v.answer == NOT_KNOWN && strstr(v.advice, "as root"));
	facts.msr_error = ENXIO;
	verdict_reach(&facts, &v);
	ok(v.answer == NOT_KNOWN && strstr(v.advice, "--cpu"));
	facts.has_vmx = false;
	verdict_reach(&facts, &v);
	ok(lacks("VMX: the processor has none") && v.nr_missing == 1);
	facts.in_guest = true;
	verdict_reach(&facts, &v);
	ok(lacks("nested virtualization") && v.nr_missing == 1);
}

static void check_missing(void)
{
	fresh();
	facts.uses_fred = true;
	verdict_reach(&facts, &v);
	ok(lacks("FRED") && v.nr_missing == 1);
	fresh();
	judge_with(0x03a, 1, false);
	ok(lacks("locked VMX off") && v.nr_missing == 1);
	judge_with(0x03a, 0, false);		/* not locked: the module may set it */
	ok(v.answer == CAN_RUN);
	judge_with(0x03a, 0, true);
	ok(v.answer == CAN_RUN);
	judge_with(0x480, 1ULL << 55, false);
	ok(lacks("write-back") && v.nr_missing == 1);
	judge_with(0x480, 0, true);
	ok(lacks("do not exist") && v.nr_missing == 1);
	judge_with(0x48d, (~0ULL << 32) & ~(1ULL << 35), false);
	ok(lacks("lacks NMI_EXITING") && v.nr_missing == 1);
	judge_with(0x48b, (~0ULL << 32) & ~(1ULL << 39), false);
	ok(lacks("lacks UNRESTRICTED_GUEST") && v.nr_missing == 1);
	judge_with(0x48e, (~0ULL << 32) & ~(1ULL << 63), false);
	ok(lacks("SECONDARY_CONTROLS") && lacks("lacks EPT") && lacks("INVEPT"));
	judge_with(0x48c, ~(1ULL << 20), false);
	ok(lacks("INVEPT") && v.nr_missing == 1);
	/* Without the "true" MSRs the older ones count, which are absent here. */
	judge_with(0x480, 6ULL << 50, false);
	ok(lacks("EXTERNAL_INTERRUPT_EXITING"));
}

static const char *value(const char *p);

static const char *blank(const char *p)
{
	while (p && isspace((unsigned char)*p))
		p++;
	return p;
}

static const char *string(const char *p)
{
	if (!p || *p++ != '"')
		return NULL;
	for (; *p != '"'; p++)
		if (!*p || *p == '\n' || (*p == '\\' && !*++p))
			return NULL;
	return p + 1;
}

/* Skips an object or an array. */
static const char *group(const char *p, char end)
{
	p = blank(p + 1);
	if (p && *p == end)
		return p + 1;
	while (p) {
		if (end == '}') {
			p = blank(string(p));
			if (!p || *p != ':')
				return NULL;
			p = blank(p + 1);
		}
		p = blank(value(p));
		if (p && *p == end)
			return p + 1;
		p = p && *p == ',' ? blank(p + 1) : NULL;
	}
	return NULL;
}

/* Skips a JSON value. Returns NULL if it is none. */
static const char *value(const char *p)
{
	static const char * const words[] = { "true", "false", "null" };

	if (!p)
		return NULL;
	if (*p == '{' || *p == '[')
		return group(p, *p == '{' ? '}' : ']');
	if (*p == '"')
		return string(p);
	for (size_t i = 0; i < 3; i++)
		if (!strncmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	return isdigit((unsigned char)*p) ? p + strspn(p, "0123456789") : NULL;
}

static bool is_json(const char *text)
{
	const char *end = blank(value(text));

	return end && !*end;
}

static bool has(const char *text)
{
	return memmem(c.said, c.nr_said, text, strlen(text));
}

static void check_output(void)
{
	char *const text[] = { stub, "info", "--device", "/dev/null", NULL };
	char *const json[] = { stub, "info", "--json", "--device", "/dev/null", NULL };
	char *const alone[] = { stub, "info", "--json", "--device", "/nonexistent", NULL };

	ok(run_to_end(&c, "", TO_PIPE, text) == 0);
	ok(has("CPUID") && has("Verdict: "));
	ok(run_to_end(&c, "", TO_PIPE, json) == 0);
	ok(is_json(c.said));
	ok(has("\"can_run\": ") && has("\"cpuid\": [") && has("\"msrs\": ["));
	ok(has("\"version\": ") && has("\"name\": \"VMX\""));
	ok(run_to_end(&c, "", TO_PIPE, alone) == 1);
	ok(is_json(c.said) && has("\"device_opened\": false"));
	ok(is_json("{\"a\": [1, true, {}], \"b\": \"\\\"\"}") && !is_json("{\"a\": }") &&
	   !is_json("[1,]") && !is_json("[1] 2"));
}

static void check_cpu(void)
{
	char *const bad[] = { "-1", "+1", " 1", "", "1x", "0x1", "100000", "4294967296" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "info", "--cpu", bad[i],
							   "--device", "/dev/null", NULL }) == 2);
		ok(times_told(&c, "--cpu expects a number from 0 to") == 1);
	}
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "info", "--cpu", "99999", "--device",
						   "/dev/null", NULL }) == 0);
	ok(times_told(&c, "this machine has no such processor") == 1);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	check_verdict();
	check_missing();
	check_output();
	check_cpu();
	spawn_end();
	return tap_done();
}
