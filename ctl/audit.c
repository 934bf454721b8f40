// SPDX-License-Identifier: GPL-2.0
/* drostectl audit: reads a VMCS from a file and reports the rules of a VM entry that it breaks. */
#include <getopt.h>
#include <stdio.h>

#include "args.h"
#include "audit.h"
#include "auditreport.h"
#include "outcome.h"
#include "say.h"
#include "utf8.h"

#define STATUS_BROKEN	1	/* exit status if a rule is broken; STATUS_USAGE if the file cannot be read */

void audit_help(void)
{
	printf("Usage: drostectl audit [OPTION]... FILE\n"
	       "Name every rule of a VM entry (SDM 3C 27.2, 27.3) that a VMCS breaks.\n"
	       "FILE, or \"-\" for standard input, is one of:\n"
	       "  - a log in which kvm_intel (with dump_invalid_vmcs=1) or Xen dumped a VMCS\n"
	       "  - a nested state from KVM_GET_NESTED_STATE, of KVM or Droste, or its VMCS12\n"
	       "  - JSON: {\"fields\": {\"GUEST_RIP\": \"0x1000\", ...}}\n"
	       "Needs neither root nor a hypervisor.\n"
	       "\n"
	       "  --caps FILE     VMX capabilities: JSON, as \"drostectl info --json\" prints it\n"
	       "  --caps host     those of this machine\n"
	       "  --caps default  those of a recent Xeon\n"
	       "                  Without --caps: those in FILE, or host's if they can be read, or default\n"
	       "  --dump N        the Nth dump in the log; the last without it\n"
	       "  --source        print each rule as the module's source text, too\n"
	       "  --json          print one JSON object\n"
	       "  -h, --help      print this text\n"
	       "\n"
	       "Exit status: 0: no rule is broken; 1: a rule is broken; 2: the file cannot be read.\n");
}

int cmd_audit(int argc, char **argv)
{
	enum { CAPS = 1, DUMP, JSON, SOURCE };
	static const struct option options[] = {
		{ "caps", required_argument, NULL, CAPS },
		{ "dump", required_argument, NULL, DUMP },
		{ "source", no_argument, NULL, SOURCE },
		{ "json", no_argument, NULL, JSON },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	static struct judgement j;
	static struct vmcs_file f;
	static char name[4096];
	const char *caps = NULL;
	unsigned long dump = 0;
	struct assumed a;
	struct audit_report r = { .f = &f, .a = &a, .j = &j };
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			audit_help();
			return 0;
		}
		if (opt == CAPS)
			caps = optarg;
		else if (opt == DUMP && !args_number("dump", optarg, 1, 1000000, &dump))
			continue;
		else if (opt == JSON)
			json = true;
		else if (opt == SOURCE)
			r.source = true;
		else
			return STATUS_USAGE;
	}
	if (optind + 1 != argc) {
		say(optind < argc ? "unexpected argument \"%s\"; see \"drostectl audit --help\"" :
		    "no file given; see \"drostectl audit --help\"", argv[argc - 1]);
		return STATUS_USAGE;
	}
	if (vmcs_file_read(&f, argv[optind], dump) || assumed_get(&a, caps, &f))
		return STATUS_USAGE;
	judge(&j, &f, &a);
	/* Whoever made the file has chosen its name. */
	snprintf(name, sizeof(name), "%s", argv[optind]);
	utf8_clean(name);
	r.name = name;
	audit_report(&r, json);
	return j.count[RULE_BROKEN] ? STATUS_BROKEN : 0;
}
