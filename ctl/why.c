// SPDX-License-Identifier: GPL-2.0
/* drostectl why: how L1's last failed VM entry failed, and all rules that it broke, as the module judged it. */
#include "why.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auditreport.h"
#include "lastexit.h"
#include "look.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"
#include "whyfile.h"

void why_help(void)
{
	printf("Usage: drostectl why [--exit] [OPTION]...\n"
	       "       drostectl why --input FILE\n"
	       "Tell why the last VM entry of L1 failed: every rule that its VMCS broke, with the fields' values.\n"
	       "With --exit: tell of each vCPU's last exit who got it, L0 or L1, and which control, bitmap or value decided.\n"
	       "These need root.\n"
	       "With --input: explain all such events of a recording.\n"
	       "\n"
	       "  --input FILE    what \"drostectl trace\" has written (-i FILE), as text or JSON; \"-\": standard input\n"
	       "  --exit          explain the last exit; of a vCPU that runs, the next one\n"
	       LOOK_OPTIONS
	       "  --vcpu N        the vCPU (the first on which one has failed; all with --exit)\n"
	       "  --source        print each rule as the module's source text, too\n"
	       "  --json          print one JSON object; with --exit, an array of them\n"
	       "  -h, --help      print this text\n");
}

/* The processor that L1 was offered, not one that is assumed. */
static void offered(struct assumed *a, const struct droste_why *why)
{
	memset(a, 0, sizeof(*a));
	for (unsigned int i = 0; i < VMX_CAPS_NR; i++)
		*vmx_caps_msr(&a->caps, VMX_CAPS_FIRST + i) = why->caps[i];
	a->given = ~0u;
	a->maxphyaddr = why->maxphyaddr;
	a->la57 = a->caps.cr4_fixed1 & (1 << 12);
	a->efer = why->efer;
	a->debugctl = why->debugctl;
	snprintf(a->source, sizeof(a->source), "what L1 was offered");
}

/* The module's verdicts take the place of those that need L1's memory, or more of its state. */
static void adopt(struct judgement *j, const struct droste_why *why)
{
	memset(j->count, 0, sizeof(j->count));
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		if (why->failed[i / 64] >> (i % 64) & 1)
			j->verdict[i] = RULE_BROKEN;
		else if (j->verdict[i] == RULE_BROKEN || j->verdict[i] == RULE_OPEN)
			j->verdict[i] = RULE_HOLDS;
		j->count[j->verdict[i]]++;
	}
}

/* why --exit, of all vCPUs or of the one that the options name. */
static int why_exit(const struct look_at *at, bool all, bool json)
{
	struct droste_vm_info vm;
	int fd = look_open(at, &vm), ret;

	if (fd < 0)
		return STATUS_FAILED;
	paint_begin();
	if (!json)
		printf("VM %u (%s, process %d)\n", vm.number, vm.name, vm.pid);
	ret = lastexit_all(fd, all ? 0 : at->vcpu, all ? vm.nr_vcpus : at->vcpu + 1, json);
	close(fd);
	return ret ? STATUS_FAILED : 0;
}

/* why without --exit: the last VM entry that failed on the vCPU that the options name, or on the first that has one. */
static int why_entry(struct look_at *at, bool source, bool json)
{
	static struct look_vmcs v;
	static struct judgement j;
	struct droste_vm_info vm;
	struct droste_why why;
	struct assumed a;
	char name[80];
	const struct audit_report r = { .name = name, .f = &v.file, .a = &a, .j = &j, .why = &why, .source = source };
	int fd = look_open(at, &vm), ret;

	if (fd < 0)
		return STATUS_FAILED;
	if (at->vcpu == ~0ul)
		at->vcpu = look_failed(fd, vm.nr_vcpus);
	ret = look_why(fd, at->vcpu, &v, &why);
	close(fd);
	if (ret)
		return STATUS_FAILED;
	offered(&a, &why);
	judge(&j, &v.file, &a);
	adopt(&j, &why);
	snprintf(name, sizeof(name), "VM %u (%s, process %d), vCPU %lu", vm.number, vm.name, vm.pid, at->vcpu);
	audit_report(&r, json);
	return 0;
}

int cmd_why(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "input", required_argument, NULL, 'i' }, { "exit", no_argument, NULL, 'e' },
		{ "source", no_argument, NULL, 's' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	struct look_at at = { .vcpu = ~0ul };
	const char *input = NULL;
	bool json = false, source = false, exits = false, all = true, others = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "hi:", options, NULL)) != -1) {
		if (opt == 'h') {
			why_help();
			return 0;
		}
		others |= opt != 'i';
		if (opt == 'c')
			all = false;
		if (opt == 'i')
			input = optarg;
		else if (opt == 'j')
			json = true;
		else if (opt == 's')
			source = true;
		else if (opt == 'e')
			exits = true;
		else if (look_option(&at, opt, optarg))
			return STATUS_USAGE;
	}
	if (optind < argc) {
		say("unexpected argument \"%s\"; see \"drostectl why --help\"", argv[optind]);
		return STATUS_USAGE;
	}
	if (input && others) {
		say("--input goes without other options; see \"drostectl why --help\"");
		return STATUS_USAGE;
	}
	if (input) {
		paint_begin();
		return why_file(input) ? STATUS_FAILED : 0;
	}
	return exits ? why_exit(&at, all, json) : why_entry(&at, source, json);
}
