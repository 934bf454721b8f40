// SPDX-License-Identifier: GPL-2.0
/* Decides whether a machine can run Droste, by the table that the module uses. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "verdict.h"
#include "vmxcaps.h"

#define MSR_FEATURE_CONTROL	0x03a
#define FEATURE_LOCKED		(1ULL << 0)
#define FEATURE_VMX		(1ULL << 2)	/* outside SMX */
#define MSR_PROC		0x482
#define MSR_PROC2		0x48b
#define MSR_EPT_VPID		0x48c
#define PROC_SECONDARY		31		/* the MSR of the secondary controls exists */
#define PROC2_EPT		1		/* the MSR of EPT's capabilities exists */
#define BASIC_MEMORY_TYPE(val)	((val) >> 50 & 15)
#define WRITE_BACK		6

enum cap { CAP_pin, CAP_proc, CAP_proc2, CAP_exit, CAP_entry, NR_CAPS };

/* The MSRs of each kind of control: the older one, and the "true" one or 0. */
static const uint32_t cap_msrs[NR_CAPS][2] = {
	[CAP_pin] = { 0x481, 0x48d },
	[CAP_proc] = { MSR_PROC, 0x48e },
	[CAP_proc2] = { MSR_PROC2, 0 },
	[CAP_exit] = { 0x483, 0x48f },
	[CAP_entry] = { 0x484, 0x490 },
};

static const char * const cap_kinds[NR_CAPS] = {
	[CAP_pin] = "pin-based",
	[CAP_proc] = "primary processor-based",
	[CAP_proc2] = "secondary processor-based",
	[CAP_exit] = "VM-exit",
	[CAP_entry] = "VM-entry",
};

#define CAP(cap, bit, name, need, offer) { CAP_##cap, bit, need, #name },
static const struct {
	enum cap cap;
	unsigned int bit;
	bool need;
	const char *name;
} caps[] = {
#include "../kmod/vmx/caps.def"
};

/* The bits of IA32_VMX_EPT_VPID_CAP that Droste needs. */
static const struct {
	unsigned int bit;
	const char *name;
} ept_needs[] = {
	{ 6, "EPT page walks of 4 levels" },
	{ 14, "EPT tables in write-back memory" },
	{ 20, "INVEPT" },
	{ 26, "INVEPT of all contexts" },
};

static void __attribute__((format(printf, 2, 3)))
add_missing(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	v->answer = CANNOT_RUN;
	if (v->nr_missing == VERDICT_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(v->missing[v->nr_missing++], sizeof(v->missing[0]), fmt, ap);
	va_end(ap);
}

/* An MSR that does not exist has no bit set. */
static uint64_t read_msr(const struct machine_facts *f, uint32_t index)
{
	uint64_t val;

	return f->msr(f->ctx, index, &val) ? val : 0;
}

static bool may_set(uint64_t msr, unsigned int bit)
{
	return msr >> (32 + bit) & 1;
}

static void check_controls(const struct machine_facts *f, uint64_t basic,
			   struct verdict *v)
{
	uint64_t msr[NR_CAPS], ept;

	for (int i = 0; i < NR_CAPS; i++)
		msr[i] = read_msr(f, cap_msrs[i][basic & VMX_BASIC_TRUE && cap_msrs[i][1]]);
	if (!may_set(msr[CAP_proc], PROC_SECONDARY))
		msr[CAP_proc2] = 0;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++)
		if (caps[i].need && !may_set(msr[caps[i].cap], caps[i].bit))
			add_missing(v, "the processor's VMX lacks %s, a %s control",
				    caps[i].name, cap_kinds[caps[i].cap]);
	ept = may_set(msr[CAP_proc2], PROC2_EPT) ? read_msr(f, MSR_EPT_VPID) : 0;
	for (size_t i = 0; i < sizeof(ept_needs) / sizeof(ept_needs[0]); i++)
		if (!(ept >> ept_needs[i].bit & 1))
			add_missing(v, "the processor's VMX lacks %s",
				    ept_needs[i].name);
	if (BASIC_MEMORY_TYPE(basic) != WRITE_BACK)
		add_missing(v, "the processor's VMX lacks VMCSs in write-back memory");
}

static void check_msrs(const struct machine_facts *f, struct verdict *v)
{
	uint64_t basic, ctl = read_msr(f, MSR_FEATURE_CONTROL);

	if (ctl & FEATURE_LOCKED && !(ctl & FEATURE_VMX))
		add_missing(v, "the firmware has locked VMX off: enable it in the firmware's setup, where it is often called VT-x");
	if (f->msr(f->ctx, MSR_VMX_BASIC, &basic))
		check_controls(f, basic, v);
	else if (!v->nr_missing)
		add_missing(v, "the processor's VMX capability MSRs do not exist");
}

static void advise(const struct machine_facts *f, struct verdict *v)
{
	const char *text = "";

	if (v->answer == NOT_KNOWN && f->msr_error == ENOENT)
		text = "run \"modprobe msr\" and try again";
	else if (v->answer == NOT_KNOWN && (f->msr_error == EACCES || f->msr_error == EPERM))
		text = "run this command as root";
	else if (v->answer == NOT_KNOWN)
		text = "choose another processor with --cpu";
	else if (v->answer == CAN_RUN && f->kvm_loaded && !f->droste_loaded)
		text = "kvm_intel holds VMX: run \"rmmod kvm_intel\", then \"insmod kmod/droste.ko\"";
	else if (v->answer == CAN_RUN && !f->droste_loaded)
		text = "run \"insmod kmod/droste.ko\"";
	else if (v->answer == CAN_RUN && !f->device_opened)
		text = "the module is loaded, but its device cannot be opened";
	snprintf(v->advice, sizeof(v->advice), "%s", text);
}

void verdict_reach(const struct machine_facts *f, struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->answer = CAN_RUN;
	/* The module checks the processor itself when it is loaded. */
	if (!f->droste_loaded) {
		if (!f->has_vmx)
			add_missing(v, f->in_guest ?
				    "VMX: this is a virtual machine, and its host offers no nested virtualization (the lab, scripts/lab, needs none)" :
				    "VMX: the processor has none, or the firmware hides it");
		else if (f->msr_error)
			v->answer = NOT_KNOWN;
		else
			check_msrs(f, v);
		if (f->uses_fred)
			add_missing(v, "this kernel uses FRED, which Droste does not handle: boot it with fred=off");
	}
	advise(f, v);
}

const char *verdict_sentence(const struct verdict *v)
{
	static const char * const text[] = {
		[CANNOT_RUN] = "this machine cannot run Droste",
		[CAN_RUN] = "this machine can run Droste",
		[NOT_KNOWN] = "the processor has VMX, but whether it has all that Droste needs is not known",
	};

	return text[v->answer];
}
