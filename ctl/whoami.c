// SPDX-License-Identifier: GPL-2.0
/* drostectl whoami: prints the kernel, the hypervisor and the VMX offer that this level sees. */
#include "whoami.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

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

int cmd_whoami(int argc, char **argv)
{
	const char *label = argc > 1 ? argv[1] : "here";
	char hypervisor[13], processor[49];
	struct utsname u;

	hypervisor_name(hypervisor);
	processor_name(processor);
	uname(&u);
	printf("%s: %s %s, %ld CPU(s), hypervisor signature \"%s\", VMX offered: %s, processor \"%s\"\n",
	       label, u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       hypervisor, vmx_state(), processor + strspn(processor, " "));
	return 0;
}
