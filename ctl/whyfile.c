// SPDX-License-Identifier: GPL-2.0
/* drostectl why -i: explains the events of a recording. */
#include "whyfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auditreport.h"
#include "checkwords.h"
#include "jsonread.h"
#include "lastexit.h"
#include "look.h"
#include "nested/route_why.h"
#include "paint.h"
#include "say.h"
#include "traceevent.h"
#include "vmcsbits.h"

#define LINE_SIZE	65536	/* no line with an event is longer */
#define NAME_CUT	31	/* characters of a rule's name in an event */

/* What was found in a file. */
struct tally {
	unsigned long long explained, lost;
	unsigned long long strange;	/* lines that are no event of a known form */
	bool other;			/* there are events that this is not about */
};

static bool number(const struct json_node *event, const char *member, uint64_t *val)
{
	return !json_number(json_member(event, member), val);
}

/* What each explanation begins with. */
static bool print_place(const struct json_node *event)
{
	const struct json_node *when = json_member(event, "ts");
	uint64_t vm, vcpu, seq;

	if (!number(event, "vm", &vm) || !number(event, "vcpu", &vcpu) || !number(event, "seq", &seq) || !when || !when->text)
		return false;
	printf("VM %" PRIu64 ", vCPU %" PRIu64 ", exit %" PRIu64 " at %s: ", vm, vcpu, seq, when->text);
	return true;
}

static bool has_bitmap(uint32_t why)
{
	return why == WHY_IO_BITMAP || why == WHY_MSR_BITMAP || why == WHY_VMCS_BITMAP;
}

static bool is_cr_value(uint32_t why)
{
	return why == WHY_CR0_MASK || why == WHY_CR4_MASK || why == WHY_CR3_TARGET || why == WHY_LMSW;
}

static bool explain_route(const struct json_node *event)
{
	const char *reason = json_member_text(event, "reason"), *to = json_member_text(event, "to");
	const char *name = json_member_text(event, "why");
	uint64_t field, word, bits, value, byte, mask, hit;
	struct droste_last_exit e = { .flags = DROSTE_EXIT_L2 };
	int why = name ? lastexit_why(name) : -1;

	if (!reason || !to || !name || (strcmp(to, "L0") && strcmp(to, "L1")) || !number(event, "field", &field) ||
	    !number(event, "word", &word) || !number(event, "bits", &bits) || !number(event, "value", &value) ||
	    !number(event, "byte", &byte) || !number(event, "mask", &mask) || !number(event, "hit", &hit) || !print_place(event))
		return false;
	e.to = to[1] - '0';
	e.why = why < 0 ? NR_ROUTE_WHY : why;
	e.field = field;
	e.word = word;
	e.bits = bits;
	printf("%s%s%s by L2\n", BOLD, reason, PLAIN);
	lastexit_decision(&e, name);
	if (is_cr_value(e.why))
		printf("    value                            %#" PRIx64 "\n", value);
	if (has_bitmap(e.why) && mask)
		printf("    bitmap                           byte %#" PRIx64 "; tested %#" PRIx64 ", of which %s%s%s\n", byte, mask, BOLD,
		       hit ? "a bit is set" : "no bit is set", PLAIN);
	else if (has_bitmap(e.why))
		printf("    bitmap                           has no bit for this: L1 gets the exit\n");
	return true;
}

/* A rule by its name in an event. Numbers differ from one version of the module to the next. */
static enum check_id rule(const char *name)
{
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++)
		if (!strcmp(check_name(i), name) || (strlen(name) == NAME_CUT && !strncmp(check_name(i), name, NAME_CUT)))
			return i;
	return CHECK_OK;
}

static void print_value(const char *name, uint64_t val)
{
	char spelt[1200] = "";

	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (!strcmp(vmcs12_fields[i].name, name))
			vmcs_spell(spelt, sizeof(spelt), i, val);
	printf("    %-32s %s%#" PRIx64 "%s%s%s\n", name, BOLD, val, PLAIN, *spelt ? "  " : "", spelt);
}

static bool explain_failed(const struct json_node *event)
{
	const char *name = json_member_text(event, "name"), *field = json_member_text(event, "field");
	uint64_t code, check, failed, value, qual, vmptr;
	enum check_id id;

	if (!name || !field || !number(event, "code", &code) || !number(event, "check", &check) ||
	    !number(event, "nr_failed", &failed) || !number(event, "value", &value) || !number(event, "qual", &qual) ||
	    !number(event, "vmptr", &vmptr) || !print_place(event))
		return false;
	printf("a VM entry of L1 failed with %s%s%s\n", RED, audit_code(code, qual), PLAIN);
	if (vmptr != ~0ULL)
		printf("    %sVMCS at %#" PRIx64 "%s\n", DIM, vmptr, PLAIN);
	if (check == CHECK_OK)
		return true;
	id = rule(name);
	if (id == CHECK_OK)
		printf("    %s%s%s  a rule that drostectl does not know\n", RED, name, PLAIN);
	else
		printf("    %s%s%s  SDM 3C %s\n    %s\n", RED, check_name(id), PLAIN, check_section(id), check_words(id));
	print_value(field, value);
	if (failed > 1)
		printf("    It is the first of %" PRIu64 " rules that were broken.\n", failed);
	return true;
}

/* An event, a line about lost ones, or the first or last line, as an object. */
static void take_object(struct tally *t, char *text)
{
	int line;
	struct json_node *top = json_parse(text, &line);
	const char *event = json_member_text(top, "event");
	uint64_t lost;

	if (event && !strcmp(event, "droste_route"))
		*(explain_route(top) ? &t->explained : &t->strange) += 1;
	else if (event && !strcmp(event, "droste_entry_failed"))
		*(explain_failed(top) ? &t->explained : &t->strange) += 1;
	else if (event)
		t->other = true;
	else if (json_member(top, "events") && number(top, "lost", &lost))
		t->lost = lost;
	else if (!json_member(top, "drostectl_trace") && !json_member(top, "lost"))
		t->strange++;
	json_free(top);
}

static void take_line(struct tally *t, char *line)
{
	static char json[4 * LINE_SIZE];
	unsigned long long kept, lost;

	if (*line == '{') {
		take_object(t, line);
		return;
	}
	if (*line == '#') {
		if (sscanf(line, "# %llu events, %llu lost", &kept, &lost) == 2)
			t->lost = lost;
		return;
	}
	switch (trace_line(line)) {
	case TRACE_LINE_EVENT:
		trace_json(json, sizeof(json), line);
		take_object(t, json);
		break;
	case TRACE_LINE_LOST:
		break;
	default:
		t->strange += *line != 0;
	}
}

/* Reads lines. Of one that has no room, such as the first of a recording whose command is long, the beginning is taken. */
static void take_file(struct tally *t, FILE *f)
{
	static char line[LINE_SIZE];
	bool begun = false;

	while (fgets(line, sizeof(line), f)) {
		size_t len = strcspn(line, "\n");
		bool ends = line[len] == '\n';

		line[len] = 0;
		if (!begun && (ends || strncmp(line, "{\"drostectl_trace\"", 18)))
			take_line(t, line);
		begun = !ends;
	}
}

static int tell(const struct tally *t, const char *name)
{
	if (t->strange)
		say("%s: drostectl does not understand %llu line%s", name, t->strange, t->strange == 1 ? "" : "s");
	if (!t->explained) {
		say("%s has nothing to explain: %s", name, t->other ? "record the events of L2 (drostectl trace --l2)" :
		    "there are no events in it");
		return -1;
	}
	printf("\n%llu event%s explained", t->explained, t->explained == 1 ? "" : "s");
	if (t->lost)
		printf("; %llu events were lost while this was recorded", t->lost);
	printf("\n");
	return 0;
}

int why_file(const char *name)
{
	FILE *f = strcmp(name, "-") ? fopen(name, "re") : stdin;
	struct tally t = { .other = false };
	int err;

	if (!f) {
		say("%s: %s", name, strerror(errno));
		return -1;
	}
	take_file(&t, f);
	err = ferror(f) ? errno : 0;
	if (f != stdin)
		fclose(f);
	if (!err)
		return tell(&t, name);
	say("%s: %s", name, strerror(err));
	return -1;
}
