// SPDX-License-Identifier: GPL-2.0
/* Unit checks of drostectl trace: selections, filters, lines, JSON, and the reasons for which there are no events. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"
#include "traceevent.h"
#include "tracefs.h"
#include "tracepid.h"

#define EVENT	"        badentry-135     [001] .....   123.456789: "
#define COMMON	"vm 1 vcpu 0 L2 seq 48213: "

static char json[4096];

static bool gives(const char *line, const char *want)
{
	trace_json(json, sizeof(json), line);
	if (!strcmp(json, want))
		return true;
	printf("# %s\n", json);
	return false;
}

static void selections(void)
{
	char text[128];
	int level;

	ok(trace_wants("droste_exit", 0, &level) && !level);
	ok(trace_wants("droste_run", 0, &level) && !level);
	ok(trace_wants("droste_exit", TRACE_L1, &level) && level == 1);
	ok(trace_wants("droste_exit", TRACE_L2, &level) && level == 2);
	ok(trace_wants("droste_exit", TRACE_L1 | TRACE_L2, &level) && !level);
	ok(trace_wants("droste_exit", TRACE_L2 | TRACE_INSN, &level) && level == 2);
	ok(!trace_wants("droste_exit", TRACE_INSN, &level));
	ok(trace_wants("droste_route", TRACE_L2, &level) && !level);
	ok(!trace_wants("droste_route", TRACE_L1, &level));
	ok(trace_wants("droste_l1_entry", TRACE_INSN, &level) && !level);
	ok(trace_wants("droste_to_come", TRACE_L1, &level) && level == 1);
	ok(trace_needs_exits("droste_ept02") && !trace_needs_exits("droste_run"));
	trace_filter(text, sizeof(text), 0, "reason == 10 || reason == 12");
	ok(!strcmp(text, "reason == 10 || reason == 12"));
	trace_filter(text, sizeof(text), 2, "reason == 10 || reason == 12");
	ok(!strcmp(text, "level == 2 && (reason == 10 || reason == 12)"));
	trace_filter(text, sizeof(text), 1, "");
	ok(!strcmp(text, "level == 1"));
}

/* The members of an object: strings, and numbers. */
#define S(name, text)	",\"" #name "\":\"" text "\""
#define N(name, number)	",\"" #name "\":" #number
#define RUN(exit)	N(vm, 1) N(vcpu, 0) N(level, 1) N(seq, exit)
#define START(event)	"{\"event\":\"" event "\"" N(ts, 123.456789) N(cpu, 1) N(tid, 135) S(thread, "badentry")
#define BEGIN(event)	START(event) N(vm, 1) N(vcpu, 0) N(level, 2) N(seq, 48213)

#define RUN_LINE	"droste_run: vm 1 vcpu 0 L1 seq 9: enter kvm_exit_reason 0 ret 0"

static void lines(void)
{
	char event[] = EVENT RUN_LINE;
	char lost[] = "CPU:1 [LOST 42 EVENTS]", other[] = "# tracer: nop", foreign[] = EVENT "sched_switch: prev_comm=a";
	/* The thread's name is its user's choice. */
	char newline[] = "x-135     [001] .....   123.456789: " RUN_LINE;
	char evil[] = " x: droste_exit:-135     [001] .....   123.456789: " RUN_LINE;
	char escape[] = "       \033]0;evil\"-135     [001] .....   99: " RUN_LINE;

	ok(trace_line(event) == TRACE_LINE_EVENT);
	ok(trace_line(lost) == TRACE_LINE_LOST);
	ok(trace_line(other) == TRACE_LINE_OTHER);
	ok(trace_line(foreign) == TRACE_LINE_OTHER);
	ok(trace_line(newline) == TRACE_LINE_STRANGE);
	ok(trace_line(evil) == TRACE_LINE_EVENT);
	ok(gives(lost, "{\"lost\":42" N(cpu, 1) "}"));
	ok(gives(evil, "{\"event\":\"droste_run\"" N(ts, 123.456789) N(cpu, 1) N(tid, 135) S(thread, "x: droste_exit:") RUN(9)
		 S(what, "enter") N(kvm_exit_reason, 0) N(ret, 0) "}"));
	ok(trace_line(escape) == TRACE_LINE_EVENT && !strchr(escape, '\033'));
	ok(gives(escape, "{\"event\":\"droste_run\"" N(ts, 99) N(cpu, 1) N(tid, 135) S(thread, "?]0;evil\\\"") RUN(9)
		 S(what, "enter") N(kvm_exit_reason, 0) N(ret, 0) "}"));
}

#define EPT02		"l2_gpa 0x1000 l1_gpa 0x2000 qual 0x184 FIXED at_level 1 perms12 0x7 perms02 0x5"
#define BAD_ENTRY	"exit 33 check 183 (RFLAGS_IF) of 1 GUEST_RFLAGS 0x2 qual 0x0 vmptr 0x1000000"

static void objects(void)
{
	ok(gives(EVENT "droste_ept02: " COMMON EPT02,
		 BEGIN("droste_ept02") S(l2_gpa, "0x1000") S(l1_gpa, "0x2000") S(qual, "0x184") S(outcome, "FIXED") N(at_level, 1)
		 S(perms12, "0x7") S(perms02, "0x5") "}"));
	ok(gives(EVENT "droste_event: " COMMON "re-injected external interrupt 236 error 0x0",
		 BEGIN("droste_event") S(what, "re-injected") S(type, "external interrupt") N(vector, 236) S(error, "0x0") "}"));
	ok(gives(EVENT "droste_op: " COMMON "3 OUT 0x21 0x1 0xff 0x0 result -2004",
		 BEGIN("droste_op") N(nr, 3) S(op, "OUT") S(a0, "0x21") S(a1, "0x1") S(a2, "0xff") S(a3, "0x0") N(result, -2004) "}"));
	ok(gives(EVENT "droste_barrier: " COMMON "given-up barrier 12",
		 BEGIN("droste_barrier") S(what, "given-up") N(barrier, 12) "}"));
	ok(gives(EVENT "droste_msr: " COMMON "WRMSR 0x10a0 data 0x9 #GP",
		 BEGIN("droste_msr") S(insn, "WRMSR") S(msr, "0x10a0") S(data, "0x9") N(fault, true) "}"));
	ok(gives(EVENT "droste_entry: " COMMON "rip 0x10 inject 0x0 immediate exit",
		 BEGIN("droste_entry") S(rip, "0x10") S(inject, "0x0") N(immediate, true) "}"));
	ok(gives(EVENT "droste_entry: " COMMON "rip 0x10 inject 0x0",
		 BEGIN("droste_entry") S(rip, "0x10") S(inject, "0x0") N(immediate, false) "}"));
	ok(gives(EVENT "droste_entry_failed: " COMMON BAD_ENTRY,
		 BEGIN("droste_entry_failed") S(kind, "exit") N(code, 33) N(check, 183) S(name, "RFLAGS_IF") N(nr_failed, 1)
		 S(field, "GUEST_RFLAGS") S(value, "0x2") S(qual, "0x0") S(vmptr, "0x1000000") "}"));
	ok(gives(EVENT "droste_run: " COMMON "leave kvm_exit_reason 0 ret -4",
		 BEGIN("droste_run") S(what, "leave") N(kvm_exit_reason, 0) N(ret, -4) "}"));
	/* Another form, and an event that is not known, keep their text. */
	ok(gives(EVENT "droste_ept02: " COMMON "l2_gpa 0x1000", BEGIN("droste_ept02") S(text, "l2_gpa 0x1000") "}"));
	ok(gives(EVENT "droste_ept02: " COMMON EPT02 " and more", BEGIN("droste_ept02") S(text, EPT02 " and more") "}"));
	ok(gives(EVENT "droste_to_come: " COMMON "a 1", BEGIN("droste_to_come") S(text, "a 1") "}"));
	ok(gives(EVENT "droste_run: quite another", START("droste_run") S(text, "quite another") "}"));
	/* An object that has no room is none. */
	trace_json(json, 40, EVENT "droste_run: " COMMON "enter kvm_exit_reason 0 ret 0");
	ok(!*json);
}

/* --- the forms, and what kmod/trace.h prints --- */

/* An example of what a printf format prints; a %s right behind another conversion may be empty. */
static void example(char *text, size_t size, const char *format)
{
	bool behind = false;
	size_t len = 0;

	for (const char *f = format; *f && len + 8 < size; f++) {
		if (*f != '%') {
			text[len++] = *f;
			behind = false;
			continue;
		}
		f += strspn(f + 1, "lh") + 1;
		if (*f != 's' || !behind)
			len += sprintf(text + len, "%s", *f == 's' ? "WORD" : "7");
		behind = true;
	}
	text[len] = 0;
}

/* Copies the string literals up to the first comma outside of them. */
static void literals(char *out, size_t size, const char *from)
{
	size_t len = 0;
	bool in = false;

	for (; *from && (in || *from != ',') && len + 1 < size; from++) {
		if (*from == '"')
			in = !in;
		else if (in)
			out[len++] = *from;
	}
	out[len] = 0;
}

/* Each event that kmod/trace.h has gives an object, not only a text. */
static void forms(void)
{
	static char source[1 << 17];
	FILE *f = fopen("../kmod/trace.h", "r");
	char name[64], format[512], text[512], line[1024];
	int events = 0, unknown = 0, long_way = 0;

	source[f ? fread(source, 1, sizeof(source) - 1, f) : 0] = 0;
	if (f)
		fclose(f);
	for (const char *at = source; (at = strstr(at, "\nTRACE_EVENT(")); at++) {
		const char *print = strstr(at, "TP_printk(TRACE_COMMON_FORMAT");

		if (!print || sscanf(at, "\nTRACE_EVENT(%63[a-z0-9_],", name) != 1)
			continue;
		literals(format, sizeof(format), print);
		example(text, sizeof(text), format);
		snprintf(line, sizeof(line), EVENT "%s: " COMMON "%s", name, text);
		events++;
		snprintf(text, sizeof(text), "trace_%s_enabled()", name);
		if (trace_needs_exits(name) != !!strstr(source, text)) {
			long_way++;
			printf("# %s: kmod/trace.h has another trace_needs_exits()\n", name);
		}
		if (!trace_json(json, sizeof(json), line)) {
			unknown++;
			printf("# %s: %s\n", name, text);
		}
	}
	printf("# %d events\n", events);
	ok(events >= 10 && unknown == 0);
	ok(long_way == 0);
}

/* --- tracefs --- */

static bool is(const char *text, const char *part)
{
	return text && strstr(text, part);
}

static void reasons(void)
{
	char dir[] = "/tmp/trace_test.XXXXXX", path[256], mount[64], module[64];

	if (!mkdtemp(dir))
		abort();
	snprintf(mount, sizeof(mount), "%s/tracing", dir);
	snprintf(module, sizeof(module), "%s/module", dir);
	ok(is(tracefs_missing(mount, module), "has no tracefs"));
	mkdir(mount, 0700);
	ok(is(tracefs_missing(mount, module), "not mounted"));
	snprintf(path, sizeof(path), "%s/trace_clock", mount);
	mkdir(path, 0700);
	ok(is(tracefs_missing(mount, module), "not loaded"));
	mkdir(module, 0700);
	ok(is(tracefs_missing(mount, module), "has no events"));
	snprintf(path, sizeof(path), "%s/events", mount);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/events/droste", mount);
	mkdir(path, 0700);
	ok(is(tracefs_missing(mount, module), "no instances"));
	snprintf(path, sizeof(path), "%s/instances", mount);
	mkdir(path, 0700);
	ok(!tracefs_missing(mount, module));
	snprintf(path, sizeof(path), "rm -r %s", dir);
	ok(!system(path));
}

static void stats(void)
{
	const char *text = "entries: 129\noverrun: 4\ncommit overrun: 2\nbytes: 8820\ndropped events: 7\nread events: 123\n";

	ok(tracefs_stat(text, "entries") == 129);
	ok(tracefs_stat(text, "overrun") == 4);
	ok(tracefs_stat(text, "commit overrun") == 2);
	ok(tracefs_stat(text, "dropped events") == 7);
	ok(!tracefs_stat(text, "events"));
}

/* Puts a file with a text into a directory of @dir that may not be there yet. */
static void put(const char *dir, const char *below, const char *file, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, below);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, below, file);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

/* Whether a file in @dir begins with a text. */
static bool has(const char *dir, const char *file, const char *text)
{
	char path[256], line[80] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	if (f && !fgets(line, sizeof(line), f))
		*line = 0;
	if (f)
		fclose(f);
	return !strncmp(line, text, strlen(text));
}

/* An instance that another program has open stays, but makes no machine slow. A directory with files stays as well. */
static void removal(void)
{
	char dir[] = "/tmp/trace_test.XXXXXX", command[64];

	if (!mkdtemp(dir))
		abort();
	ok(!tracefs_remove(dir) && access(dir, F_OK));
	mkdir(dir, 0700);
	put(dir, ".", "tracing_on", "1");
	put(dir, "events", "enable", "X");
	put(dir, "events/droste", "enable", "1");
	put(dir, "events/droste/droste_exit", "trigger", "");
	put(dir, "events/droste/droste_run", "trigger", "");
	ok(tracefs_remove(dir));
	ok(has(dir, "tracing_on", "0"));
	ok(has(dir, "events/enable", "0"));
	ok(has(dir, "events/droste/droste_exit/trigger", "!hist:keys=level"));
	ok(has(dir, "events/droste/droste_run/trigger", "!hist:keys=enter"));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ok(!system(command));
}

/* More threads than 64 KiB of text have room for, as a list and as an instance gets it. */
static void threads(void)
{
	char dir[] = "/tmp/trace_test.XXXXXX", path[64], *list;
	struct tracefs t = { .pipe = -1 };
	int n = 0;

	if (!mkdtemp(dir))
		abort();
	for (int i = 0; i < 10000; i++) {
		snprintf(path, sizeof(path), "%s/%d", dir, 4100000 + i);
		if (symlink("thread", path))
			abort();
	}
	list = trace_threads(dir);
	for (const char *c = list; c && *c; c++)
		n += *c == ' ';
	ok(n == 10000 && strstr(list, "4109999 "));
	free(list);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	ok(!system(path));
	ok(!trace_threads(dir));
	/* The process that runs. */
	mkdir(dir, 0700);
	put(dir, "options", "event-fork", "0");
	put(dir, ".", "set_event_pid", "");
	strcpy(t.dir, dir);
	ok(!trace_only(&t, getpid()));
	snprintf(path, sizeof(path), "%d ", getpid());
	ok(has(dir, "options/event-fork", "1") && has(dir, "set_event_pid", path));
	snprintf(path, sizeof(path), "rm -r %s", dir);
	ok(!system(path));
}

int main(void)
{
	selections();
	lines();
	objects();
	forms();
	reasons();
	stats();
	removal();
	threads();
	return tap_done();
}
