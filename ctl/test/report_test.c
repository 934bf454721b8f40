// SPDX-License-Identifier: GPL-2.0
/* Checks what "drostectl why" says of VM entries that failed in different ways. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auditreport.h"
#include "checkwords.h"
#include "tap.h"

static char text[1 << 16];

/* The report of a VM entry that failed, with the verdicts as given. */
static void report(const struct droste_why *why, bool broken, bool json)
{
	static struct vmcs_file f = { .source = VMCS_FROM_VCPU, .vmptr = 0x5000 };
	static struct judgement j;
	struct assumed a = { .maxphyaddr = 40, .source = "what L1 was offered" };
	const struct audit_report r = { .name = "VM 1", .f = &f, .a = &a, .j = &j, .why = why };
	int out = dup(STDOUT_FILENO);
	FILE *to = tmpfile();
	size_t n;

	memset(&j, 0, sizeof(j));
	vmcs_file_set(&f, VMCS12_I_VM_ENTRY_MSR_LOAD_ADDR, 0x7000);
	if (broken)
		j.verdict[CHECK_HOST_CS_NULL] = RULE_BROKEN;
	j.count[RULE_BROKEN] = broken;
	j.count[RULE_HOLDS] = NR_CHECKS - 1 - broken;
	fflush(stdout);
	dup2(fileno(to), STDOUT_FILENO);
	audit_report(&r, json);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	rewind(to);
	n = fread(text, 1, sizeof(text) - 1, to);
	text[n] = 0;
	fclose(to);
}

static bool said(const char *what)
{
	if (strstr(text, what))
		return true;
	printf("# not in the output: %s\n", what);
	return false;
}

static void check_codes(void)
{
	static const struct {
		unsigned int code;
		const char *says;
	} unchecked[] = {
		{ 0, "The VM entry failed with VMfailInvalid: there was no current VMCS" },
		{ 4, "The VM entry failed with VM-instruction error 4: VMLAUNCH of a VMCS that was not clear" },
		{ 5, "The VM entry failed with VM-instruction error 5: VMRESUME of a VMCS that was not launched" },
		{ 26, "The VM entry failed with VM-instruction error 26: events were blocked by MOV SS" },
		{ 33, "The VM entry failed with exit reason 0x80000021, invalid guest state, exit qualification 2" },
		{ 34, "The VM entry failed with exit reason 0x80000022, MSR loading: entry 2 of the list at 0x7000" },
	};

	for (size_t i = 0; i < sizeof(unchecked) / sizeof(unchecked[0]); i++) {
		struct droste_why why = { .code = unchecked[i].code, .qual = 2, .rip = 0xabc, .seq = 7, .failures = 1, .entries = 2 };

		report(&why, false, false);
		ok(said(unchecked[i].says) && said("VMRESUME at RIP 0xabc, exit 7; 1 of 3 VM entries failed\n"));
		/* Rules that nobody has judged are not said to hold. */
		ok(!strstr(text, "206 rules") == (why.code < 33));
		report(&why, false, true);
		ok(said(strstr(unchecked[i].says, "with ") + 5) && said("\"fails_with\": \"") && said("\"succeeded\": 2"));
		ok(!strstr(text, "\"rules\"") == (why.code < 33));
	}
}

static void check_broken(void)
{
	struct droste_why why = { .check = CHECK_HOST_CS_NULL, .code = 8, .flags = DROSTE_WHY_VMLAUNCH, .failures = 1 };

	report(&why, true, false);
	ok(said("VMLAUNCH at RIP") && said("1 of 1 VM entries failed"));
	ok(said("HOST_CS_NULL  SDM 3C 27.2.2-4\n    The host CS selector must not be 0.\n    HOST_CS_SELECTOR  "));
	ok(said("The VM entry failed with VM-instruction error 8, invalid host-state field.") && !strstr(text, "demands"));
	report(&why, true, true);
	ok(said("\"condition\": \"The host CS selector must not be 0.\"") && said("\"instruction\": \"VMLAUNCH\""));
	ok(said("\"demands\": \"v->host_cs_selector\""));
}

int main(void)
{
	check_codes();
	check_broken();
	return tap_done();
}
