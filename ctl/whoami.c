// SPDX-License-Identifier: GPL-2.0
/* drostectl whoami: prints the kernel, the hypervisor and the VMX offer that this level sees. */
#include "whoami.h"

#include <cpuid.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "outcome.h"
#include "say.h"

/* Reads the hypervisor's signature (CPUID leaf 0x40000000), if leaf 1 reports a hypervisor. */
static void hypervisor_name(char name[13])
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx >> 31)) {
		strcpy(name, "none");
		return;
	}
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(name, &ebx, 4);
	memcpy(name + 4, &ecx, 4);
	memcpy(name + 8, &edx, 4);
	name[12] = '\0';
}

static const char *vmx_state(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	return ecx & (1U << 5) ? "yes" : "no";
}

static void processor_name(char name[49])
{
	unsigned int regs[12], i;

	/* For a leaf above the last one, the processor returns the data of another leaf. */
	if (__get_cpuid_max(0x80000000, NULL) < 0x80000004) {
		strcpy(name, "unknown");
		return;
	}
	for (i = 0; i < 3; i++)
		__cpuid(0x80000002 + i, regs[4 * i], regs[4 * i + 1],
			regs[4 * i + 2], regs[4 * i + 3]);
	memcpy(name, regs, 48);
	name[48] = '\0';
}

void whoami_help(void)
{
	printf("Usage: drostectl whoami [LABEL]\n"
	       "Print one line about this machine: kernel, hypervisor, VMX, processor.\n"
	       "\n"
	       "  LABEL       start of the line, to tell levels apart (here)\n"
	       "  -h, --help  print this text\n");
}

/*
 * Returns 0 to continue, 1 if --help was given, -1 after printing an error
 * message.
 */
static int parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt = getopt_long(argc, argv, "h", longopts, NULL);

	if (opt == 'h')
		return 1;
	if (opt != -1)
		return -1;
	if (argc - optind > 1) {
		say("unexpected argument \"%s\"", argv[optind + 1]);
		return -1;
	}
	return 0;
}

int cmd_whoami(int argc, char **argv)
{
	char hypervisor[13], processor[49];
	int ret = parse_options(argc, argv);
	const char *label;
	struct utsname u;

	if (ret > 0) {
		whoami_help();
		return 0;
	}
	if (ret < 0) {
		say("see \"drostectl whoami --help\"");
		return STATUS_USAGE;
	}
	label = optind < argc ? argv[optind] : "here";

	hypervisor_name(hypervisor);
	processor_name(processor);
	uname(&u);
	printf("%s: %s %s, %ld CPU(s), hypervisor signature \"%s\", VMX offered: %s, processor \"%s\"\n",
	       label, u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       hypervisor, vmx_state(), processor + strspn(processor, " "));
	return 0;
}
