// SPDX-License-Identifier: GPL-2.0
/* Droste's events as tracefs prints them. */
#include "traceevent.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define COMM	16	/* columns of the thread's name in a line */

/*
 * The events, and what kmod/trace.h prints behind the common fields. "%name" stands for one word, which is the value of the
 * field "name"; "%name+" for words up to one that begins with a digit; "[name:words]" for words that need not be there. The
 * unit check compares the forms with kmod/trace.h.
 */
#define FAILED	"[failed_entry:(failed entry)]"
#define INFO	"qual %qual gpa %gpa intr_info %intr_info error %intr_error idt_info %idt_info"
#define TESTED	"field %field word %word bits %bits value %value byte %byte mask %mask hit %hit"
#define L1STATE	"inject %inject dirty %dirty eptp12 %eptp12 vpid12 %vpid12"
#define CHECK	"check %check %name of %nr_failed %field %value"
#define PERMS	"at_level %at_level perms12 %perms12 perms02 %perms02"
static const struct kind {
	const char *name;
	unsigned int selections;
	bool of_level;		/* the selection TRACE_L1 means those of level 1, TRACE_L2 those of level 2 */
	bool needs_exits;	/* it is in trace_needs_exits() of kmod/trace.h */
	const char *form;	/* NULL: not known */
} kinds[] = {
	{ "droste_exit", TRACE_L1 | TRACE_L2, true, true,
	  "%reason " FAILED " rip %rip " INFO " ilen %ilen iinfo %iinfo arg %arg" },
	{ "droste_entry", TRACE_L1 | TRACE_L2, true, true, "rip %rip inject %inject [immediate:immediate exit]" },
	{ "droste_event", TRACE_L1 | TRACE_L2, true, true, "%what %type+ %vector error %error" },
	{ "droste_mmio", TRACE_L1 | TRACE_L2, true, true, "%step gpa %gpa len %len value %value" },
	{ "droste_pio", TRACE_L1 | TRACE_L2, true, false, "%insn port %port size %size count %count value %value" },
	{ "droste_msr", TRACE_L1 | TRACE_L2, true, true, "%insn %msr data %data [fault:#GP]" },
	{ "droste_op", TRACE_L1 | TRACE_L2, true, true, "%nr %op %a0 %a1 %a2 %a3 result %result" },
	{ "droste_barrier", TRACE_L1 | TRACE_L2, true, false, "%what barrier %barrier" },
	{ "droste_route", TRACE_L2, false, true, "%reason to %to why %why " TESTED },
	{ "droste_l1_exit", TRACE_L2, false, true, "%origin %reason " FAILED " " INFO " l2_rip %l2_rip l1_rip %l1_rip" },
	{ "droste_l1_entry", TRACE_L2 | TRACE_INSN, false, true, "%insn vmptr %vmptr l2_rip %l2_rip " L1STATE },
	{ "droste_entry_failed", TRACE_L2 | TRACE_INSN, false, false, "%kind %code " CHECK " qual %qual vmptr %vmptr" },
	{ "droste_vmx_insn", TRACE_INSN, false, true, "%insn operand %operand value %value %result %error" },
	{ "droste_ept02", TRACE_L2, false, true, "l2_gpa %l2_gpa l1_gpa %l1_gpa qual %qual %outcome " PERMS },
	{ "droste_run", 0, false, false, "%what kvm_exit_reason %kvm_exit_reason ret %ret" },
	/* Any other event. */
	{ NULL, TRACE_L1 | TRACE_L2, true, false, NULL },
};

static const struct kind *kind_of(const char *event, size_t len)
{
	const struct kind *k = kinds;

	while (k->name && (strncmp(k->name, event, len) || k->name[len]))
		k++;
	return k;
}

bool trace_wants(const char *event, unsigned int selection, int *level)
{
	const struct kind *k = kind_of(event, strlen(event));
	unsigned int levels = selection & k->selections & (TRACE_L1 | TRACE_L2);

	*level = k->of_level && levels == TRACE_L1 ? 1 : k->of_level && levels == TRACE_L2 ? 2 : 0;
	return !selection || selection & k->selections;
}

bool trace_needs_exits(const char *event)
{
	return kind_of(event, strlen(event))->needs_exits;
}

void trace_filter(char *text, size_t size, int level, const char *expression)
{
	if (!level)
		snprintf(text, size, "%s", expression);
	else if (!*expression)
		snprintf(text, size, "level == %d", level);
	else
		snprintf(text, size, "level == %d && (%s)", level, expression);
}

/* --- lines --- */

/* A line behind the thread's name, which may have any text: "-PID [CPU] FLAGS TIME: EVENT: TEXT". */
struct parts {
	long pid, cpu;
	char time[32];
	const char *event, *text;	/* the event's name, and the text behind ": " */
	size_t name_len;
};

static bool split(struct parts *p, const char *line)
{
	const char *at, *colon;
	char *end;

	if (strnlen(line, COMM + 1) <= COMM || line[COMM] != '-')
		return false;
	p->pid = strtol(line + COMM + 1, &end, 10);
	at = strchr(end, '[');
	if (!at)
		return false;
	p->cpu = strtol(at + 1, &end, 10);
	/* Flags, then the time. */
	at = *end == ']' ? end + 1 : NULL;
	if (!at)
		return false;
	at += strspn(at, " ");
	at += strcspn(at, " ");
	at += strspn(at, " ");
	colon = strchr(at, ':');
	if (!colon || colon - at >= (int)sizeof(p->time) || colon[1] != ' ' || strspn(at, "0123456789.") != (size_t)(colon - at))
		return false;
	snprintf(p->time, sizeof(p->time), "%.*s", (int)(colon - at), at);
	p->event = colon + 2;
	p->name_len = strcspn(p->event, ":");
	if (p->event[p->name_len] != ':' || p->event[p->name_len + 1] != ' ' || strncmp(p->event, "droste_", 7))
		return false;
	p->text = p->event + p->name_len + 2;
	return true;
}

static bool lost_line(const char *line, unsigned long long *lost, int *cpu)
{
	return sscanf(line, "CPU:%d [LOST %llu EVENTS]", cpu, lost) == 2;
}

enum trace_line trace_line(char *line)
{
	unsigned long long lost;
	struct parts p;
	int cpu;

	for (char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (split(&p, line))
		return TRACE_LINE_EVENT;
	if (lost_line(line, &lost, &cpu))
		return TRACE_LINE_LOST;
	return strstr(line, ": droste_") ? TRACE_LINE_STRANGE : TRACE_LINE_OTHER;
}

/* --- JSON --- */

static void append(char *json, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What does not fit leaves size - 1 characters. */
static void append(char *json, size_t size, const char *fmt, ...)
{
	size_t len = strlen(json);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(json + len, size - len, fmt, ap);
	va_end(ap);
}

static void key(char *json, size_t size, const char *name, int len)
{
	if (json[strlen(json) - 1] != '{')
		append(json, size, ",");
	append(json, size, "\"%.*s\":", len, name);
}

static void quote(char *json, size_t size, const char *name, const char *text)
{
	char c[8];

	key(json, size, name, strlen(name));
	append(json, size, "\"");
	while (*text) {
		text += utf8_json(c, text);
		append(json, size, "%s", c);
	}
	append(json, size, "\"");
}

/* A decimal number as such, any other word as a string: hexadecimal numbers may have more bits than a reader's numbers. */
static void value(char *json, size_t size, const char *name, int name_len, const char *word, int len)
{
	int sign = len > 1 && *word == '-', digits = strspn(word + sign, "0123456789");
	char text[128];

	if (len > 2 && word[0] == '(' && word[len - 1] == ')')
		word++, len -= 2;
	key(json, size, name, name_len);
	if (sign + digits == len && (len == 1 || word[sign] != '0')) {
		append(json, size, "%.*s", len, word);
		return;
	}
	/* key() has written the key. */
	snprintf(text, sizeof(text), "%.*s", len, word);
	append(json, size, "\"");
	for (const char *c = text; *c; c++)
		append(json, size, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
	append(json, size, "\"");
}

/* Where words of a text end: one, or all before a word that begins with a digit, which must follow. NULL: there are none. */
static const char *words_end(const char *text, bool many)
{
	const char *at = text;

	do {
		at += strspn(at, " ");
		if (many && at != text && isdigit((unsigned char)*at))
			return at - 1;
		if (!*at)
			return NULL;
		at += strcspn(at, " ");
	} while (many);
	return at;
}

/* Takes one part of a form. Returns where the text goes on, or NULL if it has another form. */
static const char *take_part(char *json, size_t size, const char *form, int len, const char *text)
{
	if (*form == '[') {
		const char *words = memchr(form, ':', len) + 1;
		int n = form + len - words;
		bool is = !strncmp(text, words, n) && (!text[n] || text[n] == ' ');

		key(json, size, form + 1, words - form - 2);
		append(json, size, is ? "true" : "false");
		return text + (is ? n : 0);
	}
	if (*form == '%') {
		bool many = form[len - 1] == '+';
		const char *end = words_end(text, many);

		if (end)
			value(json, size, form + 1, len - 1 - many, text, end - text);
		return end;
	}
	return strncmp(text, form, len) || (text[len] && text[len] != ' ') ? NULL : text + len;
}

/* Takes the fields of a text out of it by a form. Returns false if it has another form. */
static bool take(char *json, size_t size, const char *form, const char *text)
{
	while (*form) {
		int len = strcspn(form, *form == '[' ? "]" : " ");

		text = take_part(json, size, form, len, text + strspn(text, " "));
		if (!text)
			return false;
		form += len + (form[len] == ']');
		form += strspn(form, " ");
	}
	return !text[strspn(text, " ")];
}

/* Puts an event's fields into an object. Returns false if its text has no known form. */
static bool put_event(char *json, size_t size, const char *line, const struct parts *p)
{
	const struct kind *k = kind_of(p->event, p->name_len);
	unsigned int vm, vcpu, level;
	unsigned long long seq;
	char thread[COMM + 1];
	const char *text = p->text;
	size_t begun;
	int n = 0;

	snprintf(thread, sizeof(thread), "%s", line);
	append(json, size, "\"event\":\"%.*s\",\"ts\":%s,\"cpu\":%ld,\"tid\":%ld", (int)p->name_len, p->event, p->time, p->cpu,
	       p->pid);
	quote(json, size, "thread", thread + strspn(thread, " "));
	if (sscanf(text, "vm %u vcpu %u L%u seq %llu:%n", &vm, &vcpu, &level, &seq, &n) == 4 && n) {
		append(json, size, ",\"vm\":%u,\"vcpu\":%u,\"level\":%u,\"seq\":%llu", vm, vcpu, level, seq);
		text += n;
		begun = strlen(json);
		if (k->form && take(json, size, k->form, text))
			return true;
		json[begun] = 0;
	}
	quote(json, size, "text", text + strspn(text, " "));
	return false;
}

bool trace_json(char *json, size_t size, const char *line)
{
	unsigned long long lost;
	struct parts p;
	bool known = true;
	int cpu;

	snprintf(json, size, "{");
	if (lost_line(line, &lost, &cpu))
		append(json, size, "\"lost\":%llu,\"cpu\":%d", lost, cpu);
	else if (split(&p, line))
		known = put_event(json, size, line, &p);
	append(json, size, "}");
	if (strlen(json) == size - 1)
		*json = 0;
	return known;
}
