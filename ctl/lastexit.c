// SPDX-License-Identifier: GPL-2.0
/* drostectl why --exit: the last exit of a vCPU, who got it, and which control, bitmap or value decided, as the module judges. */
#include "lastexit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "exitname.h"
#include "json.h"
#include "look.h"
#include "nested/route_why.h"
#include "paint.h"
#include "say.h"
#include "vmcsbits.h"

#define CR_TO	0	/* access types in the exit qualification (SDM 3C table 28-3) */
#define CR_FROM	1
#define CR_CLTS	2

static const char *why_words(uint32_t why)
{
#define WORDS(nr, name, words) [nr] = words,
	static const char *const texts[] = { ROUTE_WHYS(WORDS, WORDS) };
#undef WORDS

	return why < NR_ROUTE_WHY ? texts[why] : "a reason that drostectl does not know";
}

static const char *why_name(uint32_t why)
{
#define NAME(nr, name, words) [nr] = #name,
	static const char *const names[] = { ROUTE_WHYS(NAME, NAME) };
#undef NAME

	return why < NR_ROUTE_WHY ? names[why] : "?";
}

static const char *reason_name(uint32_t reason)
{
	static char text[24];

	if ((reason & 0xffff) < DROSTE_NR_EXIT_REASONS)
		return exit_name(reason & 0xffff);
	snprintf(text, sizeof(text), "reason %u", reason & 0xffff);
	return text;
}

int lastexit_why(const char *name)
{
	for (int why = 0; why < NR_ROUTE_WHY; why++)
		if (!strcmp(why_name(why), name))
			return why;
	return -1;
}

/* The number of a field in vmcs12_fields, -1 if drostectl does not know it. */
static int field_of(uint32_t encoding)
{
	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (vmcs12_fields[i].enc == encoding)
			return i;
	return -1;
}

static const char *field_name(uint32_t encoding)
{
	static char text[24];
	int field = field_of(encoding);

	if (field >= 0)
		return vmcs12_fields[field].name;
	snprintf(text, sizeof(text), "field %#x", encoding);
	return text;
}

/* What the exit is about, behind its name. */
static void print_arg(const struct droste_last_exit *e)
{
	unsigned int cr = e->qual & 15;

	switch (e->reason) {
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		printf(" of MSR %#" PRIx64, (uint64_t)e->arg);
		break;
	case EXIT_REASON_IO_INSTRUCTION:
		printf(": %s of %u byte%s at port %#" PRIx64, e->qual & 8 ? "input" : "output", (unsigned int)(e->qual & 7) + 1,
		       e->qual & 7 ? "s" : "", (uint64_t)e->arg);
		break;
	case EXIT_REASON_CR_ACCESS:
		switch (e->qual >> 4 & 3) {
		case CR_TO:
			printf(": MOV of %#" PRIx64 " to CR%u", (uint64_t)e->arg, cr);
			break;
		case CR_FROM:
			printf(": MOV from CR%u", cr);
			break;
		default:
			printf(": %s", (e->qual >> 4 & 3) == CR_CLTS ? "CLTS" : "LMSW");
		}
		break;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		printf(" of %s", field_name(e->arg));
		break;
	case EXIT_REASON_EXCEPTION_NMI:
		printf(", vector %u", e->intr_info & 0xff);
		break;
	}
	if (e->flags & DROSTE_EXIT_GPA)
		printf(" at guest-physical address %#" PRIx64, (uint64_t)e->gpa);
}

/* The control word or mask that was looked at. */
static void print_word(const struct droste_last_exit *e)
{
	int field = field_of(e->field);
	char names[300] = "";

	if (!e->field)
		return;
	if (field >= 0 && vmcs_control_msr(field))
		vmcs_spell_bits(names, sizeof(names), field, e->bits);
	printf("    %-32s %#" PRIx64 "; tested %#" PRIx64 ", of which %s%#" PRIx64 "%s %s set%s%s\n", field_name(e->field),
	       (uint64_t)e->word, (uint64_t)e->bits, BOLD, (uint64_t)(e->word & e->bits), PLAIN, "is", *names ? ": " : "", names);
}

static void print_bitmap(const struct droste_last_exit *e)
{
	if (!(e->flags & DROSTE_EXIT_BITMAP))
		return;
	if (!e->bitmap_mask) {
		printf("    bitmap                           has no bit for this: L1 gets the exit\n");
		return;
	}
	printf("    bitmap                           byte at L1's %#" PRIx64 "; tested %#x, of which %s%#x%s is set%s\n", (uint64_t)e->bitmap,
	       e->bitmap_mask, BOLD, e->bitmap_bits, PLAIN,
	       e->flags & DROSTE_EXIT_NOT_READ ? " (the host does not have the page now: it counts as all ones)" : "");
}

void lastexit_decision(const struct droste_last_exit *e, const char *why)
{
	printf("    To %sL%u%s: %s (%s)\n", GREEN, e->to, PLAIN, why_words(e->why), why ? why : why_name(e->why));
	print_word(e);
	print_bitmap(e);
}

static void print_shown(const struct droste_last_exit *e)
{
	bool same = e->shown == e->reason;

	if (!(e->flags & DROSTE_EXIT_SHOWN))
		return;
	if (e->to && same)
		printf("    L1 was shown it.\n");
	else if (same)
		printf("    L0 found that it is L1's after all, and L1 was shown it: see \"drostectl ept\" for EPT violations.\n");
	else
		printf("    L1 was then shown %s%s.\n", reason_name(e->shown), e->shown >> 31 ? ", as a failed VM entry" : "");
}

static void print_exit(const struct droste_last_exit *e)
{
	bool l2 = e->flags & DROSTE_EXIT_L2;

	printf("vCPU %u, exit %" PRIu64 ": %s%s%s", e->vcpu, (uint64_t)e->seq, BOLD, reason_name(e->reason), PLAIN);
	if (e->reason >> 31)
		printf(", a failed VM entry");
	if (e->flags & DROSTE_EXIT_SHORT) {
		printf("\n    It went the short way of the run loop, and more is not kept. The vCPU has not run since.\n");
		return;
	}
	print_arg(e);
	printf(" by %s", l2 ? "L2" : "L1");
	if (e->flags & DROSTE_EXIT_RIP)
		printf(", whose RIP is %#" PRIx64 " now", (uint64_t)e->rip);
	printf("\n");
	if (e->flags & DROSTE_EXIT_QUAL)
		printf("    %sexit qualification %#" PRIx64 "%s\n", DIM, (uint64_t)e->qual, PLAIN);
	if (!l2) {
		printf("    To L0: L1's exits are all L0's.\n");
		return;
	}
	if (e->flags & DROSTE_EXIT_GONE) {
		printf("    L1 has left VMX operation since, so what decided is not known.\n");
		return;
	}
	lastexit_decision(e, NULL);
	print_shown(e);
}

static void json_hex(const char *key, uint64_t val)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIx64, val);
	json_string(key, text);
}

static void json_route(const struct droste_last_exit *e)
{
	json_count("to", e->to);
	json_string("why", why_name(e->why));
	json_string("words", why_words(e->why));
	if (e->field) {
		json_string("field", field_name(e->field));
		json_hex("value", e->word);
		json_hex("bits", e->bits);
	}
	if (e->flags & DROSTE_EXIT_BITMAP) {
		json_hex("bitmap", e->bitmap);
		json_hex("bitmap_mask", e->bitmap_mask);
		json_hex("bitmap_bits", e->bitmap_bits);
		json_bool("bitmap_read", !(e->flags & DROSTE_EXIT_NOT_READ));
	}
	if (e->flags & DROSTE_EXIT_SHOWN)
		json_string("shown", reason_name(e->shown));
}

static void json_exit(const struct droste_last_exit *e)
{
	json_open(NULL, '{');
	json_count("vcpu", e->vcpu);
	json_count("seq", e->seq);
	json_string("reason", reason_name(e->reason));
	json_bool("failed_entry", e->reason >> 31);
	json_bool("short", e->flags & DROSTE_EXIT_SHORT);
	if (!(e->flags & DROSTE_EXIT_SHORT)) {
		json_count("level", e->flags & DROSTE_EXIT_L2 ? 2 : 1);
		if (e->flags & DROSTE_EXIT_RIP)
			json_hex("rip", e->rip);
		if (e->flags & DROSTE_EXIT_QUAL)
			json_hex("qualification", e->qual);
		if (e->flags & DROSTE_EXIT_GPA)
			json_hex("gpa", e->gpa);
		if (e->flags & DROSTE_EXIT_ARG)
			json_hex("arg", e->arg);
		if (e->intr_info)
			json_hex("intr_info", e->intr_info);
		if ((e->flags & (DROSTE_EXIT_L2 | DROSTE_EXIT_GONE)) == DROSTE_EXIT_L2)
			json_route(e);
	}
	json_close();
}

void lastexit_show(const struct droste_last_exit *e, bool json)
{
	if (json)
		json_exit(e);
	else
		print_exit(e);
}

int lastexit_all(int fd, unsigned int first, unsigned int end, bool json)
{
	int ret = 0;

	if (json)
		json_open(NULL, '[');
	for (unsigned int i = first; i < end && !ret; i++) {
		struct droste_last_exit e = { .vcpu = i };

		if (!ioctl(fd, DROSTE_GET_EXIT, &e)) {
			lastexit_show(&e, json);
		} else if (errno == ENOENT) {
			if (!json)
				printf("vCPU %u has never run.\n", i);
		} else {
			look_error(i, errno, "does not explain exits");
			ret = -1;
		}
	}
	if (json)
		json_close();
	return ret;
}
