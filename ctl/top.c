// SPDX-License-Identifier: GPL-2.0
/* drostectl top: what the vCPUs of a VM exit for, by level and by who answers, as rates. */
#include "top.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "exitname.h"
#include "json.h"
#include "look.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"
#include "topwhy.h"

#define REASONS	DROSTE_NR_EXIT_REASONS

void top_help(void)
{
	printf("Usage: drostectl top [OPTION]...\n"
	       "Show what the vCPUs of a virtual machine exit for: from which level, and whether L0 or L1 answers.\n"
	       "The numbers are exits for 1,000 VM entries of L1 into L2, or, with no L2, for 1,000 exits. Needs root.\n"
	       "\n"
	       LOOK_OPTIONS
	       "  --vcpu N        one vCPU; all without it\n"
	       "  --by reason     a row for each exit reason; this is the default\n"
	       "  --by level      a row for each level\n"
	       "  --by why        a row for each control, bitmap or rule that decided who gets an exit of L2;\n"
	       "                  counted by a tracepoint, which makes exits slower meanwhile\n"
	       "  --interval S    seconds between two looks (2)\n"
	       "  --once          look twice, print the difference, and end\n"
	       "  --json          with --once: print one JSON object\n"
	       "  -h, --help      print this text\n");
}

/* The sums of all vCPUs that are looked at. */
struct counters {
	unsigned long long l1[REASONS], l2[REASONS], reflected[REASONS], shown[REASONS], entries;
	struct why_counts why;
};

enum by {
	BY_REASON,
	BY_LEVEL,
	BY_WHY,
};

static int collect(int fd, const struct droste_vm_info *vm, long vcpu, struct counters *c)
{
	memset(c, 0, sizeof(*c));
	for (unsigned int i = vcpu < 0 ? 0 : vcpu; i < (vcpu < 0 ? vm->nr_vcpus : vcpu + 1); i++) {
		struct droste_vcpu_info info;

		if (look_vcpu(fd, i, &info))
			return -1;
		for (int r = 0; r < REASONS; r++) {
			/* They are not from one moment: a part may be ahead. */
			c->l1[r] += info.exits.exits[r] > info.exits.from_l2[r] ? info.exits.exits[r] - info.exits.from_l2[r] : 0;
			c->l2[r] += info.exits.from_l2[r];
			c->reflected[r] += info.exits.reflected[r];
			c->shown[r] += info.shown[r];
		}
		c->entries += info.entries;
	}
	return 0;
}

static unsigned long long less(unsigned long long all, unsigned long long part)
{
	return all > part ? all - part : 0;
}

static void subtract(struct counters *d, const struct counters *now, const struct counters *before)
{
	for (int r = 0; r < REASONS; r++) {
		d->l1[r] = less(now->l1[r], before->l1[r]);
		d->l2[r] = less(now->l2[r], before->l2[r]);
		d->reflected[r] = less(now->reflected[r], before->reflected[r]);
		d->shown[r] = less(now->shown[r], before->shown[r]);
	}
	d->entries = now->entries - before->entries;
	for (int w = 0; w < NR_ROUTE_WHY; w++) {
		d->why.to_l0[w] = less(now->why.to_l0[w], before->why.to_l0[w]);
		d->why.to_l1[w] = less(now->why.to_l1[w], before->why.to_l1[w]);
	}
}

static unsigned long long all_exits(const struct counters *d)
{
	unsigned long long sum = 0;

	for (int r = 0; r < REASONS; r++)
		sum += d->l1[r] + d->l2[r];
	return sum;
}

/* The reasons by falling number of exits. Returns how many occur. */
static int sorted(const struct counters *d, int *order)
{
	int n = 0;

	for (int r = 0; r < REASONS; r++) {
		int at = n;

		if (!d->l1[r] && !d->l2[r] && !d->shown[r])
			continue;
		for (n++; at && d->l1[order[at - 1]] + d->l2[order[at - 1]] < d->l1[r] + d->l2[r]; at--)
			order[at] = order[at - 1];
		order[at] = r;
	}
	return n;
}

static void print_rate(unsigned long long count, double unit)
{
	if (count)
		printf(" %11.1f", count / unit);
	else
		printf(" %s%11s%s", DIM, "-", PLAIN);
}

static void print_reasons(const struct counters *d, double unit)
{
	int order[REASONS], n = sorted(d, order);

	printf(" %11s %11s %11s %11s %11s%s\n", "from L1", "from L2", "L1 answers", "L0 answers", "L1 was shown", PLAIN);
	for (int i = 0; i < n; i++) {
		int r = order[i];

		printf("%-22s", exit_name(r));
		print_rate(d->l1[r], unit);
		print_rate(d->l2[r], unit);
		print_rate(d->reflected[r], unit);
		print_rate(less(d->l2[r], d->reflected[r]), unit);
		print_rate(d->shown[r], unit);
		printf("\n");
	}
}

static unsigned long long sum(const unsigned long long *counts)
{
	unsigned long long all = 0;

	for (int r = 0; r < REASONS; r++)
		all += counts[r];
	return all;
}

static void print_levels(const struct counters *d, double unit)
{
	printf(" %11s %11s %11s %11s%s\n", "exits", "L1 answers", "L0 answers", "L1 was shown", PLAIN);
	printf("%-22s", "L1");
	print_rate(sum(d->l1), unit);
	print_rate(0, unit);
	print_rate(sum(d->l1), unit);
	printf("\n%-22s", "L2");
	print_rate(sum(d->l2), unit);
	print_rate(sum(d->reflected), unit);
	print_rate(less(sum(d->l2), sum(d->reflected)), unit);
	print_rate(sum(d->shown), unit);
	printf("\n");
}

/* What decided, by falling number of exits. Returns how many occur. */
static int sorted_whys(const struct why_counts *c, int *order)
{
	int n = 0;

	for (int w = 0; w < NR_ROUTE_WHY; w++) {
		int at = n;

		if (!(c->to_l0[w] + c->to_l1[w]))
			continue;
		for (n++; at && c->to_l0[order[at - 1]] + c->to_l1[order[at - 1]] < c->to_l0[w] + c->to_l1[w]; at--)
			order[at] = order[at - 1];
		order[at] = w;
	}
	return n;
}

static void print_whys(const struct counters *d, double unit)
{
	int order[NR_ROUTE_WHY], n = sorted_whys(&d->why, order);

	printf(" %11s %11s  %s%s\n", "L1 answers", "L0 answers", "for L1 if this is set, holds or differs", PLAIN);
	for (int i = 0; i < n; i++) {
		printf("%-22s", why_name(order[i]));
		print_rate(d->why.to_l1[order[i]], unit);
		print_rate(d->why.to_l0[order[i]], unit);
		printf("  %s\n", why_words(order[i]));
	}
}

static void print(const struct droste_vm_info *vm, const struct counters *d, enum by by)
{
	static void (*const rows[])(const struct counters *d, double unit) = { print_reasons, print_levels, print_whys };
	double unit = (d->entries ? d->entries : all_exits(d)) / 1000.0;

	printf("VM %u (%s, process %d): %llu exits, %llu VM entries of L1\n", vm->number, vm->name, vm->pid, all_exits(d), d->entries);
	printf("%s%-22s", DIM, d->entries ? "for 1,000 L2 entries" : "for 1,000 exits");
	rows[by](d, unit);
}

static void json_reasons(const struct counters *d)
{
	int order[REASONS], n = sorted(d, order);

	json_open("reasons", '[');
	for (int i = 0; i < n; i++) {
		json_open(NULL, '{');
		json_string("reason", exit_name(order[i]));
		json_count("from_l1", d->l1[order[i]]);
		json_count("from_l2", d->l2[order[i]]);
		json_count("reflected", d->reflected[order[i]]);
		json_count("shown_to_l1", d->shown[order[i]]);
		json_close();
	}
	json_close();
}

static void json_levels(const struct counters *d)
{
	json_count("from_l1", sum(d->l1));
	json_count("from_l2", sum(d->l2));
	json_count("reflected", sum(d->reflected));
	json_count("shown_to_l1", sum(d->shown));
}

static void json_whys(const struct counters *d)
{
	int order[NR_ROUTE_WHY], n = sorted_whys(&d->why, order);

	json_open("whys", '[');
	for (int i = 0; i < n; i++) {
		json_open(NULL, '{');
		json_string("why", why_name(order[i]));
		json_count("to_l1", d->why.to_l1[order[i]]);
		json_count("to_l0", d->why.to_l0[order[i]]);
		json_close();
	}
	json_close();
}

static void print_json(const struct droste_vm_info *vm, const struct counters *d, enum by by)
{
	static void (*const rows[])(const struct counters *d) = { json_reasons, json_levels, json_whys };

	json_open(NULL, '{');
	json_count("vm", vm->number);
	json_count("pid", vm->pid);
	json_count("exits", all_exits(d));
	json_count("l1_entries", d->entries);
	rows[by](d);
	json_close();
}

static void wait_for(unsigned long seconds)
{
	struct timespec t = { .tv_sec = seconds };

	while (nanosleep(&t, &t))
		;
}

/* The vCPU, or -1 for all. */
static long which_vcpu(const struct look_at *at)
{
	return at->vcpu == ~0ul ? -1 : (long)at->vcpu;
}

/* Opens the VM for each look, so that it ends when its process does. */
static int look_once(const struct look_at *at, struct droste_vm_info *vm, struct counters *c)
{
	int fd = look_open(at, vm), ret;

	if (fd < 0)
		return -1;
	ret = collect(fd, vm, which_vcpu(at), c);
	close(fd);
	return ret;
}

static int parse_by(const char *word, enum by *by)
{
	static const char *const words[] = { "reason", "level", "why" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(word, words[i])) {
			*by = i;
			return 0;
		}
	}
	say("--by takes reason, level or why");
	return -1;
}

/* What the command line asks for. */
struct wishes {
	struct look_at at;
	unsigned long interval;
	enum by by;
	bool once, json;
};

/* Returns 1 if the help text was asked for, -1 after an error message. */
static int parse(struct wishes *w, int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "by", required_argument, NULL, 'b' }, { "interval", required_argument, NULL, 'i' },
		{ "once", no_argument, NULL, 'o' }, { "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	int opt, err = 0;

	while (!err && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			top_help();
			return 1;
		case 'o':
			w->once = true;
			break;
		case 'j':
			w->json = true;
			break;
		case 'b':
			err = parse_by(optarg, &w->by);
			break;
		case 'i':
			err = args_number("interval", optarg, 1, 3600, &w->interval);
			break;
		default:
			err = look_option(&w->at, opt, optarg);
		}
	}
	if (!err && (optind < argc || (w->json && !w->once))) {
		say(optind < argc ? "unexpected argument; see \"drostectl top --help\"" : "--json needs --once");
		return -1;
	}
	return err;
}

int cmd_top(int argc, char **argv)
{
	struct wishes w = { .at.vcpu = ~0ul, .interval = 2 };
	static struct counters before, now, d;
	struct droste_vm_info vm;
	int ret = parse(&w, argc, argv);

	if (ret)
		return ret > 0 ? 0 : STATUS_USAGE;
	if (look_once(&w.at, &vm, &before) || (w.by == BY_WHY && why_begin(vm.number, which_vcpu(&w.at))))
		return STATUS_FAILED;
	paint_begin();
	/* From now on it is this VM, whichever others come. */
	w.at.vm = vm.number;
	do {
		wait_for(w.interval);
		if (look_once(&w.at, &vm, &now) || (w.by == BY_WHY && why_read(&now.why)))
			return STATUS_FAILED;
		subtract(&d, &now, &before);
		before = now;
		if (!w.once)
			printf("%s", paint("\033[H\033[2J"));
		if (w.json)
			print_json(&vm, &d, w.by);
		else
			print(&vm, &d, w.by);
		fflush(stdout);
	} while (!w.once);
	return 0;
}
