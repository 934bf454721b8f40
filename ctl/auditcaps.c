// SPDX-License-Identifier: GPL-2.0
/* The VMX capabilities that an audit assumes: from a file, from this machine, or by default. */
#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auditcaps.h"
#include "say.h"
#include "vmxcaps.h"

/* Bits that are 1 by default, and must be without the "true" MSRs (SDM 3D A.2), or that always must be. */
#define PIN_ONES	0x00000016u
#define PROC_ONES	0x0401e172u
#define PROC_TRUE_ONES	0x04006172u
#define EXIT_ONES	0x00036dffu
#define EXIT_TRUE_ONES	0x00036dfbu
#define ENTRY_ONES	0x000011ffu
#define ENTRY_TRUE_ONES	0x000011fbu

#define MAXPHYADDR	52	/* the most that there is */
#define CR4_KNOWN	0x11bff6fffULL	/* no reserved bit, without LA57 */

/* Every control that has a name, and the bits that are 1 by default. */
static uint64_t all_controls(uint32_t msr, uint32_t ones, uint32_t must)
{
	uint64_t may = ones;

	for (size_t i = 0; i < vmxcap_nr_bits; i++)
		if (vmxcap_bits[i].index == msr)
			may |= 1u << vmxcap_bits[i].low;
	return may << 32 | must;
}

/*
 * A processor with all controls. An exception has an error code exactly if its
 * vector has one: most hypervisors offer their guests no other processor.
 */
static void use_default(struct assumed *a, const struct vmcs_file *f)
{
	struct vmx_caps *c = &a->caps;
	bool la57 = (f->v.guest_cr4 | f->v.host_cr4) & X86_CR4_LA57;

	*c = (struct vmx_caps) {
		.basic = VMX_BASIC_TRUE,
		.pin = all_controls(0x481, PIN_ONES, PIN_ONES),
		.proc = all_controls(0x482, PROC_ONES, PROC_ONES),
		.exit = all_controls(0x483, EXIT_ONES, EXIT_ONES),
		.entry = all_controls(0x484, ENTRY_ONES, ENTRY_ONES),
		.true_pin = all_controls(0x481, PIN_ONES, PIN_ONES),
		.true_proc = all_controls(0x482, PROC_ONES, PROC_TRUE_ONES),
		.true_exit = all_controls(0x483, EXIT_ONES, EXIT_TRUE_ONES),
		.true_entry = all_controls(0x484, ENTRY_ONES, ENTRY_TRUE_ONES),
		.proc2 = all_controls(0x48b, 0, 0),
		.misc = 4 << 16 | 7 << 6 | 1 << 30,
		.cr0_fixed0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG,
		.cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = X86_CR4_VMXE,
		.cr4_fixed1 = CR4_KNOWN | (la57 ? X86_CR4_LA57 : 0),
		.vmcs_enum = 0x2e,
		.ept_vpid = 0x00000f01067341c1ULL,
		.vmfunc = 1,
	};
	snprintf(a->source, sizeof(a->source),
		 "default (a recent Xeon with every control that has a name%s)", la57 ? ", LA57" : "");
	a->maxphyaddr = MAXPHYADDR;
}

/* Without the "true" MSRs, the others say which bits must be 1 (SDM 3D A.2). */
static void follow_basic(struct assumed *a)
{
	static const struct { uint32_t plain, real; } pairs[] = {
		{ 0x481, 0x48d }, { 0x482, 0x48e }, { 0x483, 0x48f }, { 0x484, 0x490 },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		uint32_t plain = 1u << (pairs[i].plain - VMX_CAPS_FIRST), real = 1u << (pairs[i].real - VMX_CAPS_FIRST);

		if ((a->given & real) || !(a->given & plain))
			continue;
		*vmx_caps_msr(&a->caps, pairs[i].real) = *vmx_caps_msr(&a->caps, pairs[i].plain);
		a->given |= real;
	}
}

static void use_given(struct assumed *a, const struct vmx_caps *caps, uint32_t given,
		      unsigned int maxphyaddr)
{
	for (uint32_t i = 0; i < VMX_CAPS_NR; i++)
		if (given >> i & 1)
			*vmx_caps_msr(&a->caps, VMX_CAPS_FIRST + i) =
				*vmx_caps_msr((struct vmx_caps *)caps, VMX_CAPS_FIRST + i);
	a->given = given;
	if (maxphyaddr)
		a->maxphyaddr = maxphyaddr;
	follow_basic(a);
}

/* This machine's MSRs. Returns false if they cannot be read, or there is no VMX. */
static bool read_host(struct vmcs_file *host)
{
	unsigned int eax, ebx, ecx, edx;
	int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);

	memset(host, 0, sizeof(*host));
	for (uint32_t i = 0; fd >= 0 && i < VMX_CAPS_NR; i++) {
		uint64_t val;

		if (pread(fd, &val, sizeof(val), VMX_CAPS_FIRST + i) != sizeof(val))
			continue;
		*vmx_caps_msr(&host->caps, VMX_CAPS_FIRST + i) = val;
		host->caps_known |= 1u << i;
	}
	if (fd >= 0)
		close(fd);
	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		host->maxphyaddr = eax & 0xff;
	return host->caps_known & 1;
}

static int use_file(struct assumed *a, const char *name, const struct vmcs_file *f)
{
	static struct vmcs_file given;
	size_t size;
	char *text = vmcs_file_load(name, &size);
	int ret;

	if (!text)
		return -1;
	/* A dump is of a VMCS that the processor runs with, the others are of one that L1 made. */
	ret = vmcs_json_caps(&given, name, text, f->source != VMCS_FROM_DUMP);
	free(text);
	if (ret)
		return -1;
	if (!given.caps_known) {
		say("%s: has the value of no VMX capability MSR", name);
		return -1;
	}
	use_given(a, &given.caps, given.caps_known, given.maxphyaddr);
	snprintf(a->source, sizeof(a->source), "%s", name);
	return 0;
}

int assumed_get(struct assumed *a, const char *from, const struct vmcs_file *f)
{
	static struct vmcs_file host;

	memset(a, 0, sizeof(*a));
	use_default(a, f);
	if (from && strcmp(from, "host") && strcmp(from, "default")) {
		if (use_file(a, from, f))
			return -1;
	} else if (!from && f->caps_known) {
		use_given(a, &f->caps, f->caps_known, f->maxphyaddr);
		snprintf(a->source, sizeof(a->source), "those in the file");
	} else if ((!from || !strcmp(from, "host")) && read_host(&host)) {
		use_given(a, &host.caps, host.caps_known, host.maxphyaddr);
		snprintf(a->source, sizeof(a->source), "those of this machine");
	} else if (from && !strcmp(from, "host")) {
		say("cannot read this machine's VMX capabilities from /dev/cpu/0/msr");
		say_more("That takes root, \"modprobe msr\" and a processor with VMX.");
		return -1;
	} else if (f->maxphyaddr) {
		a->maxphyaddr = f->maxphyaddr;
	}
	a->la57 = a->caps.cr4_fixed1 & X86_CR4_LA57;
	a->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	a->debugctl = 0xffc7;	/* SDM 4: LBR, BTF, bus-lock detection, and bits 6 to 15 */
	a->perf_global = 0x1000f000000ffULL;
	return 0;
}
