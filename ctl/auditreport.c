// SPDX-License-Identifier: GPL-2.0
/* Prints the verdicts of an audit, as text or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditreport.h"
#include "checkwords.h"
#include "json.h"
#include "paint.h"
#include "vmcsbits.h"
#include "vmxcaps.h"

#define COLUMNS		100	/* lines of text are not longer */
#define INDENT		4
#define NAME_WIDTH	30	/* no name of a field is longer */
#define VALUE_WIDTH	20	/* of a value and two spaces */

static const char *source_name(enum vmcs_source source)
{
	static const char *const names[] = {
		[VMCS_FROM_STATE] = "nested state", [VMCS_FROM_PAGE] = "VMCS12",
		[VMCS_FROM_JSON] = "JSON", [VMCS_FROM_DUMP] = "dump in a log", [VMCS_FROM_VCPU] = "VMCS12 of a vCPU",
	};

	return names[source];
}

static int known_fields(const struct vmcs_file *f)
{
	int n = 0;

	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		n += f->known[i];
	return n;
}

static uint64_t value_of(const struct vmcs_file *f, int field)
{
	return vmcs12_get(&f->v, &vmcs12_fields[field]);
}

/* The value with as many digits as the field has. */
static void hex(char *text, size_t size, int field, uint64_t val)
{
	static const int digits[] = {
		[VMCS12_WIDTH_16] = 4, [VMCS12_WIDTH_32] = 8, [VMCS12_WIDTH_64] = 16, [VMCS12_WIDTH_NATURAL] = 16,
	};

	snprintf(text, size, "0x%0*" PRIx64, digits[vmcs12_fields[field].width], val);
}

static const char *beyond_name(int field)
{
	return field == NO_FIELD ? "TERTIARY_VM_EXEC_CONTROL" : vmcs12_fields[field].name;
}

static const char *lacks_name(int lacks)
{
	return lacks == LACKS_MEMORY ? "L1's memory" : vmcs12_fields[lacks].name;
}

/* How a VM entry fails that breaks a rule (SDM 3C 27.2, 27.3). */
static const char *consequence(enum check_id id)
{
	const char *section = check_section(id);

	if (!strncmp(section, "27.3", 4))
		return "exit reason 0x80000021, invalid guest state";
	return strncmp(section, "27.2.1", 6) ? "VM-instruction error 8, invalid host-state field" :
	       "VM-instruction error 7, invalid control field";
}

static enum check_id first_broken(const struct judgement *j)
{
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++)
		if (j->verdict[i] == RULE_BROKEN)
			return i;
	return CHECK_OK;
}

/* --- text --- */

/* Prints words from column @column on; further lines are indented to it. */
static void print_wrapped(const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = strcspn(text, " ");

		if (at > column && at + 1 + len > COLUMNS) {
			printf("\n%*s", column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		printf("%.*s", len, text);
		at += len;
		text += len;
		text += *text == ' ';
	}
	putchar('\n');
}

/* A long description goes into lines of its own. */
static void print_spelt(const char *spelt, int column)
{
	if (column + strlen(spelt) <= COLUMNS) {
		printf("%s\n", spelt);
	} else {
		printf("\n%*s", 2 * INDENT, "");
		print_wrapped(spelt, 2 * INDENT);
	}
}

static void print_field(const struct vmcs_file *f, int field)
{
	char spelt[1200], value[24];

	hex(value, sizeof(value), field, value_of(f, field));
	vmcs_spell(spelt, sizeof(spelt), field, value_of(f, field));
	printf("%*s%-*s %s%s%s", INDENT, "", NAME_WIDTH, vmcs12_fields[field].name, BOLD, value, PLAIN);
	if (*spelt && INDENT + NAME_WIDTH + 1 + VALUE_WIDTH + strlen(spelt) <= COLUMNS)
		printf("%*s", VALUE_WIDTH - (int)strlen(value), "");
	print_spelt(spelt, INDENT + NAME_WIDTH + 1 + VALUE_WIDTH);
}

static void print_condition(const char *word, const char *text)
{
	printf("%*s%s%-8s%s ", INDENT, "", DIM, word, PLAIN);
	print_wrapped(text, INDENT + 9);
}

static void print_bits(const char *what, int field, uint64_t bits)
{
	char spelt[1200];

	if (!bits)
		return;
	vmcs_spell_bits(spelt, sizeof(spelt), field, bits);
	printf("%*s%s%-12s%s ", INDENT, "", RED, what, PLAIN);
	print_wrapped(spelt, INDENT + 13);
}

static const char *msr_name(uint32_t msr)
{
	for (size_t i = 0; i < vmxcap_nr_msrs; i++)
		if (vmxcap_msrs[i].index == msr || vmxcap_msrs[i].true_index == msr)
			return vmxcap_msrs[i].name;
	return "";
}

static void print_caps(const struct wrong_bits *w, const struct assumed *a)
{
	struct vmx_caps caps = a->caps;

	for (int i = 0; i < 2; i++)
		if (w->caps[i])
			printf("%*sMSR 0x%x%*s0x%016" PRIx64 "  %s\n", INDENT, "", w->caps[i], NAME_WIDTH - 8, "",
			       (uint64_t)*vmx_caps_msr(&caps, w->caps[i]), msr_name(w->caps[i]));
}

static void print_broken(const struct audit_report *r, enum check_id id)
{
	const char *when = check_text(id, CHECK_WHEN);
	uint8_t fields[2 * CHECK_FIELDS];
	int n = judge_fields(id, fields);
	struct wrong_bits w;

	printf("\n%s%s%s  SDM 3C %s\n%*s", RED, check_name(id), PLAIN, check_section(id), INDENT, "");
	print_wrapped(check_words(id), INDENT);
	if (r->source) {
		print_condition("demands", check_text(id, CHECK_DEMANDS));
		if (strcmp(when, "true"))
			print_condition("when", when);
	}
	for (int i = 0; i < n; i++)
		print_field(r->f, fields[i]);
	judge_bits(&w, id, r->f, r->a);
	print_caps(&w, r->a);
	if (w.field == NO_FIELD)
		return;
	print_bits("must be 1:", w.field, w.clear);
	print_bits("must be 0:", w.field, w.set);
}

/* The rules that are not judged, grouped by what the file lacks. */
static void print_open(const struct judgement *j)
{
	if (!j->count[RULE_OPEN])
		return;
	printf("\nNot judged, because the file lacks\n");
	for (int lacks = 0; lacks <= LACKS_MEMORY; lacks++) {
		char ids[4096] = "";
		size_t len = 0;

		for (int i = CHECK_OK + 1; i < NR_CHECKS; i++)
			if (j->verdict[i] == RULE_OPEN && j->lacks[i] == lacks && len < sizeof(ids) - 100)
				len += sprintf(ids + len, "%s%s", len ? ", " : "", check_name(i));
		if (!len)
			continue;
		printf("  %-*s ", NAME_WIDTH + 2, lacks_name(lacks));
		print_wrapped(ids, NAME_WIDTH + 5);
	}
}

static void print_beyond(const struct judgement *j)
{
	if (!j->nr_beyond)
		return;
	printf("\nIn use, and no rule of drostectl is about it:\n");
	for (int i = 0; i < j->nr_beyond; i++) {
		char spelt[1200];

		vmcs_spell_bits(spelt, sizeof(spelt), j->beyond[i].field == NO_FIELD ? VMCS12_I_GUEST_RIP :
				j->beyond[i].field, j->beyond[i].bits);
		printf("  %-*s ", NAME_WIDTH + 2, beyond_name(j->beyond[i].field));
		print_wrapped(spelt, NAME_WIDTH + 5);
	}
}

static const char *insn_name(const struct droste_why *why)
{
	return why->flags & DROSTE_WHY_VMLAUNCH ? "VMLAUNCH" : "VMRESUME";
}

const char *audit_code(uint32_t code, uint64_t qual)
{
	/* VM-instruction errors (SDM 3C 31.4). */
	static const char *const errors[] = {
		[0] = "VMfailInvalid: there was no current VMCS, or it was a shadow VMCS",
		[4] = "VM-instruction error 4: VMLAUNCH of a VMCS that was not clear",
		[5] = "VM-instruction error 5: VMRESUME of a VMCS that was not launched",
		[7] = "VM-instruction error 7, invalid control field",
		[8] = "VM-instruction error 8, invalid host-state field",
		[26] = "VM-instruction error 26: events were blocked by MOV SS",
	};
	static char text[160];

	if (code < sizeof(errors) / sizeof(errors[0]) && errors[code])
		return errors[code];
	if (code == EXIT_REASON_MSR_LOAD_FAIL)
		snprintf(text, sizeof(text), "exit reason 0x80000022, MSR loading: entry %" PRIu64 " of the list", qual);
	else if (code == EXIT_REASON_INVALID_STATE)
		snprintf(text, sizeof(text), "exit reason 0x80000021, invalid guest state, exit qualification %" PRIu64, qual);
	else
		snprintf(text, sizeof(text), "VM-instruction error %u", code);
	return text;
}

/* How the VM entry failed that L1 tried: by the module's word, if it is known, else by the first rule that is broken. */
static const char *failure(const struct audit_report *r)
{
	static char text[160];

	if (!r->why || (r->why->check != CHECK_OK && r->j->count[RULE_BROKEN]))
		return consequence(first_broken(r->j));
	snprintf(text, sizeof(text), "%s", audit_code(r->why->code, r->why->qual));
	if (r->why->code == EXIT_REASON_MSR_LOAD_FAIL)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " at %#" PRIx64,
			 value_of(r->f, VMCS12_I_VM_ENTRY_MSR_LOAD_ADDR));
	return text;
}

/* Whether the rules were judged: the VM entry may have failed before its checks of the VMCS. */
static bool judged(const struct audit_report *r)
{
	return !r->why || r->why->check != CHECK_OK || r->why->code >= EXIT_REASON_INVALID_STATE;
}

static void print_heading(const struct audit_report *r)
{
	const struct vmcs_file *f = r->f;
	const struct assumed *a = r->a;
	char spelt[80];

	printf("%s: %s", r->name, source_name(f->source));
	if (f->dumps > 1)
		printf(" (%d of %d)", f->dump, f->dumps);
	if (f->vmptr != ~0ULL)
		printf(", VMCS at %#" PRIx64, f->vmptr);
	printf(", %d of %d fields\n", known_fields(f), NR_VMCS12_FIELDS);
	vmcs_spell(spelt, sizeof(spelt), VMCS12_I_VM_EXIT_REASON, f->v.vm_exit_reason);
	if (*spelt && f->source != VMCS_FROM_VCPU)
		printf("Exit reason 0x%08x: %s\n", f->v.vm_exit_reason, spelt);
	printf("Capabilities assumed: %s; addresses of %u bits, linear %d\n", a->source, a->maxphyaddr,
	       a->la57 ? 57 : 48);
	if (r->why)
		printf("%s at RIP %#" PRIx64 ", exit %" PRIu64 "; %" PRIu64 " of %" PRIu64 " VM entries failed\n",
		       insn_name(r->why), (uint64_t)r->why->rip, (uint64_t)r->why->seq, (uint64_t)r->why->failures,
		       (uint64_t)(r->why->entries + r->why->failures));
	if (f->ignored)
		printf("%d unknown names of fields ignored, such as %s\n", f->ignored, f->first_ignored);
}

static void print_text(const struct audit_report *r)
{
	const struct judgement *j = r->j;

	print_heading(r);
	if (!judged(r)) {
		printf("\nThe VM entry failed with %s.\n", failure(r));
		return;
	}
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++)
		if (j->verdict[i] == RULE_BROKEN)
			print_broken(r, i);
	print_open(j);
	print_beyond(j);
	printf("\n%d rules: %s%d broken%s, %d hold, %d do not apply, %d not judged\n", NR_CHECKS - 1,
	       j->count[RULE_BROKEN] ? RED : GREEN, j->count[RULE_BROKEN], PLAIN, j->count[RULE_HOLDS],
	       j->count[RULE_IDLE], j->count[RULE_OPEN]);
	if (r->why || j->count[RULE_BROKEN])
		printf(r->why ? "The VM entry failed with %s.\n" : "A VM entry fails with %s.\n", failure(r));
}

/* --- JSON --- */

static void json_hex(const char *key, int field, uint64_t val)
{
	char text[24];

	hex(text, sizeof(text), field, val);
	json_string(key, text);
}

static void json_bits(const char *key, int field, uint64_t bits)
{
	char spelt[1200];

	if (!bits)
		return;
	vmcs_spell_bits(spelt, sizeof(spelt), field, bits);
	json_string(key, spelt);
}

static void json_broken(const struct audit_report *r, enum check_id id)
{
	const struct vmcs_file *f = r->f;
	uint8_t fields[2 * CHECK_FIELDS];
	int n = judge_fields(id, fields);
	struct wrong_bits w;

	json_open(NULL, '{');
	json_string("id", check_name(id));
	json_string("section", check_section(id));
	json_string("condition", check_words(id));
	json_string("demands", check_text(id, CHECK_DEMANDS));
	json_string("when", check_text(id, CHECK_WHEN));
	json_open("looks_at", '[');
	for (int i = 0; i < n; i++) {
		char spelt[1200];

		vmcs_spell(spelt, sizeof(spelt), fields[i], value_of(f, fields[i]));
		json_open(NULL, '{');
		json_string("field", vmcs12_fields[fields[i]].name);
		json_hex("value", fields[i], value_of(f, fields[i]));
		json_string("spelt", *spelt ? spelt : NULL);
		json_close();
	}
	json_close();
	judge_bits(&w, id, f, r->a);
	if (w.field != NO_FIELD) {
		json_bits("must_be_1", w.field, w.clear);
		json_bits("must_be_0", w.field, w.set);
	}
	json_close();
}

static void json_verdicts(const struct audit_report *r)
{
	const struct judgement *j = r->j;

	json_open("broken", '[');
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++)
		if (j->verdict[i] == RULE_BROKEN)
			json_broken(r, i);
	json_close();
	json_open("not_judged", '[');
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		if (j->verdict[i] != RULE_OPEN)
			continue;
		json_open(NULL, '{');
		json_string("id", check_name(i));
		json_string("lacks", lacks_name(j->lacks[i]));
		json_close();
	}
	json_close();
	json_open("no_rule_for", '[');
	for (int i = 0; i < j->nr_beyond; i++) {
		json_open(NULL, '{');
		json_string("field", beyond_name(j->beyond[i].field));
		json_bits("bits", j->beyond[i].field == NO_FIELD ? VMCS12_I_GUEST_RIP : j->beyond[i].field,
			  j->beyond[i].bits);
		json_close();
	}
	json_close();
}

/* The input in the format that "drostectl audit" reads. */
static void json_input(const struct audit_report *r)
{
	const struct vmcs_file *f = r->f;
	const struct assumed *a = r->a;
	struct vmx_caps caps = a->caps;

	if (f->vmptr != ~0ULL) {
		char text[24];

		snprintf(text, sizeof(text), "%#" PRIx64, f->vmptr);
		json_string("vmptr", text);
	}
	json_string("capabilities_from", a->source);
	json_count("maxphyaddr", a->maxphyaddr);
	json_open("capabilities", '{');
	for (uint32_t msr = VMX_CAPS_FIRST; msr < VMX_CAPS_FIRST + VMX_CAPS_NR; msr++) {
		char index[16], text[24];

		snprintf(index, sizeof(index), "0x%x", msr);
		snprintf(text, sizeof(text), "0x%016" PRIx64, (uint64_t)*vmx_caps_msr(&caps, msr));
		json_string(index, text);
	}
	json_close();
	json_open("fields", '{');
	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (f->known[i])
			json_hex(vmcs12_fields[i].name, i, value_of(f, i));
	json_close();
}

/* The VM entry that failed. */
static void json_entry(const struct droste_why *why)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIx64, (uint64_t)why->rip);
	json_open("entry", '{');
	json_string("instruction", insn_name(why));
	json_string("rip", text);
	json_count("exit", why->seq);
	json_count("failed", why->failures);
	json_count("succeeded", why->entries);
	json_close();
}

static void print_json(const struct audit_report *r)
{
	const struct judgement *j = r->j;

	json_open(NULL, '{');
	json_string("file", r->name);
	json_string("format", source_name(r->f->source));
	if (r->why)
		json_entry(r->why);
	if (judged(r)) {
		json_open("rules", '{');
		json_count("broken", j->count[RULE_BROKEN]);
		json_count("hold", j->count[RULE_HOLDS]);
		json_count("do_not_apply", j->count[RULE_IDLE]);
		json_count("not_judged", j->count[RULE_OPEN]);
		json_close();
	}
	json_string("fails_with", r->why || j->count[RULE_BROKEN] ? failure(r) : NULL);
	if (judged(r))
		json_verdicts(r);
	json_input(r);
	json_close();
}

void audit_report(const struct audit_report *r, bool json)
{
	paint_begin();
	if (json)
		print_json(r);
	else
		print_text(r);
}
