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

#define REASONS	DROSTE_NR_EXIT_REASONS

void top_help(void)
{
	printf("Usage: drostectl top [OPTION]...\n"
	       "Show what the vCPUs of a virtual machine exit for: from which level, and whether L0 or L1 answers.\n"
	       "The numbers are exits for 1,000 VM entries of L1 into L2, or, with no L2, for 1,000 exits. Needs root.\n"
	       "\n"
	       LOOK_OPTIONS
	       "  --vcpu N        one vCPU; all without it\n"
	       "  --interval S    seconds between two looks (2)\n"
	       "  --once          look twice, print the difference, and end\n"
	       "  --json          with --once: print one JSON object\n"
	       "  --help          print this text\n");
}

/* The sums of all vCPUs that are looked at. */
struct counters {
	unsigned long long l1[REASONS], l2[REASONS], reflected[REASONS], shown[REASONS], entries;
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

static void print(const struct droste_vm_info *vm, const struct counters *d)
{
	double unit = (d->entries ? d->entries : all_exits(d)) / 1000.0;
	int order[REASONS], n = sorted(d, order);

	printf("VM %u (%s, process %d): %llu exits, %llu VM entries of L1\n", vm->number, vm->name, vm->pid, all_exits(d), d->entries);
	printf("%s%-22s %11s %11s %11s %11s %11s%s\n", DIM, d->entries ? "for 1,000 L2 entries" : "for 1,000 exits", "from L1",
	       "from L2", "L1 answers", "L0 answers", "L1 was shown", PLAIN);
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

static void print_json(const struct droste_vm_info *vm, const struct counters *d)
{
	int order[REASONS], n = sorted(d, order);

	json_open(NULL, '{');
	json_count("vm", vm->number);
	json_count("pid", vm->pid);
	json_count("exits", all_exits(d));
	json_count("l1_entries", d->entries);
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
	json_close();
}

static void wait_for(unsigned long seconds)
{
	struct timespec t = { .tv_sec = seconds };

	while (nanosleep(&t, &t))
		;
}

/* Opens the VM for each look, so that it ends when its process does. */
static int look_once(const struct look_at *at, struct droste_vm_info *vm, struct counters *c)
{
	int fd = look_open(at, vm), ret;

	if (fd < 0)
		return -1;
	ret = collect(fd, vm, at->vcpu == ~0ul ? -1 : (long)at->vcpu, c);
	close(fd);
	return ret;
}

int cmd_top(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "interval", required_argument, NULL, 'i' }, { "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	struct look_at at = { .vcpu = ~0ul };
	static struct counters before, now, d;
	unsigned long interval = 2;
	struct droste_vm_info vm;
	bool once = false, json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			top_help();
			return 0;
		}
		if (opt == 'o')
			once = true;
		else if (opt == 'j')
			json = true;
		else if (opt == 'i' ? args_number("interval", optarg, 1, 3600, &interval) : look_option(&at, opt, optarg))
			return STATUS_USAGE;
	}
	if (optind < argc || (json && !once)) {
		say(optind < argc ? "unexpected argument; see \"drostectl top --help\"" : "--json needs --once");
		return STATUS_USAGE;
	}
	if (look_once(&at, &vm, &before))
		return STATUS_FAILED;
	paint_begin();
	/* From now on it is this VM, whichever others come. */
	at.vm = vm.number;
	do {
		wait_for(interval);
		if (look_once(&at, &vm, &now))
			return STATUS_FAILED;
		subtract(&d, &now, &before);
		before = now;
		if (!once)
			printf("%s", paint("\033[H\033[2J"));
		if (json)
			print_json(&vm, &d);
		else
			print(&vm, &d);
		fflush(stdout);
	} while (!once);
	return 0;
}
