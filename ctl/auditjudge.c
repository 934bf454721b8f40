// SPDX-License-Identifier: GPL-2.0
/* Judges a VMCS by the module's own VM-entry checks. */
#include <stddef.h>
#include <string.h>

#include "auditjudge.h"

/*
 * L1's memory is not in the file, except for the VMCS at the link pointer.
 * The rules are run with several contents of it: one whose verdict depends on
 * them is not judged.
 */
enum memory { ABSENT, ZEROS, ONES, REVISION, SHADOW_REVISION, NR_MEMORIES };

struct reader {
	const struct vmcs_file *f;
	enum memory memory;
};

static int read_memory(void *arg, u64 gpa, void *data, u32 len)
{
	static const uint32_t revisions[NR_MEMORIES] = {
		[REVISION] = VMCS12_REVISION,
		[SHADOW_REVISION] = VMCS12_REVISION | VMCS12_SHADOW_BIT,
	};
	const struct reader *r = arg;

	if (r->f->has_link && gpa == r->f->v.vmcs_link_pointer && len <= sizeof(r->f->link)) {
		memcpy(data, &r->f->link, len);
		return 0;
	}
	if (r->memory == ABSENT)
		return -1;
	memset(data, r->memory == ONES ? 0xff : 0, len);
	if (revisions[r->memory] && len >= sizeof(revisions[0]))
		memcpy(data, &revisions[r->memory], sizeof(revisions[0]));
	return 0;
}

static bool bit_of(const unsigned long *bitmap, int n)
{
	return bitmap[n / BITS_PER_LONG] >> (n % BITS_PER_LONG) & 1;
}

/* The first field that a condition looks at and the file lacks, or NO_FIELD. */
static int lacking(const struct vmcs_file *f, enum check_id id, enum check_part part)
{
	u8 fields[CHECK_FIELDS];
	int n = check_fields(id, part, fields);

	for (int i = 0; i < n; i++)
		if (!f->known[fields[i]])
			return fields[i];
	return NO_FIELD;
}

static void add_beyond(struct judgement *j, int field, uint64_t bits)
{
	if (!bits || j->nr_beyond == BEYOND_MAX)
		return;
	j->beyond[j->nr_beyond].field = field;
	j->beyond[j->nr_beyond++].bits = bits;
}

/* Finds what the VMCS uses and no rule knows, so that nobody takes it for checked. */
static void find_beyond(struct judgement *j, struct vmcs_file *f)
{
	static const struct { int field; uint64_t bits; } unknown[] = {
		{ VMCS12_I_CPU_BASED_VM_EXEC_CONTROL, 1u << 17 },
		/* PASID translation, sub-page permissions, PT, ENCLV exiting, bus locks, instruction timeout */
		{ VMCS12_I_SECONDARY_VM_EXEC_CONTROL, 1u << 21 | 1u << 23 | 1u << 24 | 1u << 28 | 1u << 31 },
		{ VMCS12_I_VM_EXIT_CONTROLS, 1u << 25 | 1u << 28 | 1u << 29 | 1u << 31 },
		{ VMCS12_I_VM_ENTRY_CONTROLS, 1u << 10 | 1u << 11 | 1u << 16 | 0xfcu << 16 },
		{ VMCS12_I_GUEST_CR4, 1u << 23 },
		{ VMCS12_I_HOST_CR4, 1u << 23 },
	};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		uint64_t val = vmcs12_get(&f->v, &vmcs12_fields[unknown[i].field]);

		/* Secondary controls that are not activated have no effect. */
		if (unknown[i].field == VMCS12_I_SECONDARY_VM_EXEC_CONTROL &&
		    !(f->v.cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
			continue;
		add_beyond(j, unknown[i].field, val & unknown[i].bits);
	}
	add_beyond(j, NO_FIELD, f->tertiary);
	/* An L1 of Droste has no SGX; the processor that a dump is from may have it. */
	if (f->source == VMCS_FROM_DUMP && (f->v.guest_interruptibility_info & 0x10)) {
		add_beyond(j, VMCS12_I_GUEST_INTERRUPTIBILITY_INFO, 0x10);
		f->v.guest_interruptibility_info &= ~0x10u;
	}
}

static enum verdict judge_rule(const struct vmcs_file *f, enum check_id id, bool applies,
			       bool fails, bool depends, int *lacks)
{
	*lacks = lacking(f, id, CHECK_WHEN);
	if (*lacks != NO_FIELD)
		return RULE_OPEN;
	if (!applies)
		return RULE_IDLE;
	*lacks = lacking(f, id, CHECK_DEMANDS);
	if (*lacks == NO_FIELD && depends)
		*lacks = LACKS_MEMORY;
	if (*lacks != NO_FIELD)
		return RULE_OPEN;
	return fails ? RULE_BROKEN : RULE_HOLDS;
}

void judge(struct judgement *j, struct vmcs_file *f, const struct assumed *a)
{
	unsigned long failing[NR_MEMORIES][CHECK_WORDS], applies[CHECK_WORDS];
	struct reader reader = { .f = f };
	const struct check_ctx c = {
		.v = &f->v,
		.caps = &a->caps,
		.vmptr = f->vmptr,
		.efer_allowed = a->efer,
		.debugctl_allowed = a->debugctl,
		.perf_global_allowed = a->perf_global,
		.dirty = DIRTY12_ALL,
		.maxphyaddr = a->maxphyaddr,
		.la57 = a->la57,
		/*
		 * The kernel that dumps is one of 64 bits. Else as for a state that user space restores: see
		 * kmod/nested/checks_vcpu.c.
		 */
		.l1_lma = f->source == VMCS_FROM_DUMP || (f->v.vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE),
		.rtm = true,
		.restored = f->in_l2,
		.read = read_memory,
		.arg = &reader,
	};

	memset(j, 0, sizeof(*j));
	find_beyond(j, f);
	/* Secondary controls count as 0 while the primary ones do not activate them (SDM 3C 25.6.2). */
	if (f->known[VMCS12_I_CPU_BASED_VM_EXEC_CONTROL] &&
	    !(f->v.cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		vmcs_file_set(f, VMCS12_I_SECONDARY_VM_EXEC_CONTROL, 0);
	for (int m = 0; m < NR_MEMORIES; m++) {
		reader.memory = m;
		checks_all(&c, failing[m], applies);
	}
	for (int i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		bool depends = false;

		for (int m = 1; m < NR_MEMORIES; m++)
			depends |= bit_of(failing[m], i) != bit_of(failing[0], i);
		j->verdict[i] = judge_rule(f, i, bit_of(applies, i), bit_of(failing[0], i), depends, &j->lacks[i]);
		j->count[j->verdict[i]]++;
	}
}

int judge_fields(enum check_id id, uint8_t *fields)
{
	int n = check_fields(id, CHECK_DEMANDS, fields);
	uint8_t when[CHECK_FIELDS];
	int more = check_fields(id, CHECK_WHEN, when);

	for (int i = 0; i < more; i++)
		if (!memchr(fields, when[i], n))
			fields[n++] = when[i];
	return n;
}

/* The number of the capability MSR that a text names as "caps->NAME" after @at, or 0. */
static int caps_named(const char **at)
{
	static const struct { const char *name; int msr; } names[] = {
		{ "true_pin", 0x48d }, { "true_proc", 0x48e }, { "true_exit", 0x48f }, { "true_entry", 0x490 },
		{ "proc2", 0x48b }, { "vmfunc", 0x491 }, { "cr0_fixed0", 0x486 }, { "cr0_fixed1", 0x487 },
		{ "cr4_fixed0", 0x488 }, { "cr4_fixed1", 0x489 }, { "basic", 0x480 }, { "misc", 0x485 },
	};
	const char *found = *at ? strstr(*at, "caps->") : NULL;

	if (!found)
		return 0;
	*at = found + strlen("caps->");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(*at, names[i].name, strlen(names[i].name)))
			return names[i].msr;
	return 0;
}

/* The mask of reserved bits that a text compares with, 0 if it does not. */
static uint64_t reserved_named(const char *text, const struct assumed *a)
{
	if (strstr(text, "~c->efer_allowed"))
		return ~a->efer;
	if (strstr(text, "~c->debugctl_allowed"))
		return ~a->debugctl;
	if (strstr(text, "~c->perf_global_allowed"))
		return ~a->perf_global;
	if (strstr(text, "~c->caps->vmfunc"))
		return ~a->caps.vmfunc;
	return 0;
}

/* The capability MSRs that a rule compares with: those in its text, or those that a predicate in it reads. */
static void find_caps(struct wrong_bits *w, enum check_id id)
{
	const char *demands = check_text(id, CHECK_DEMANDS), *when = check_text(id, CHECK_WHEN);

	w->caps[0] = caps_named(&demands);
	w->caps[1] = caps_named(&demands);
	if (!w->caps[0])
		w->caps[0] = caps_named(&when);
	if (id == CHECK_GUEST_CR0) {
		w->caps[0] = 0x486;
		w->caps[1] = 0x487;
	} else if (id == CHECK_EPTP) {
		w->caps[0] = 0x48c;
	} else if (id == CHECK_ACTIVITY_SUPPORTED) {
		w->caps[0] = 0x485;
	}
}

void judge_bits(struct wrong_bits *w, enum check_id id, const struct vmcs_file *f,
		const struct assumed *a)
{
	const char *text = check_text(id, CHECK_DEMANDS);
	struct vmx_caps caps = a->caps;
	uint8_t fields[CHECK_FIELDS];
	uint64_t val, must, may;

	*w = (struct wrong_bits) { .field = NO_FIELD };
	if (!check_fields(id, CHECK_DEMANDS, fields))
		return;
	val = vmcs12_get(&f->v, &vmcs12_fields[fields[0]]);
	find_caps(w, id);
	if (strstr(text, "vmx_control_ok(")) {
		must = (uint32_t)*vmx_caps_msr(&caps, w->caps[0]);
		may = *vmx_caps_msr(&caps, w->caps[0]) >> 32;
	} else if (w->caps[0] && w->caps[1]) {
		must = *vmx_caps_msr(&caps, w->caps[0]);
		may = *vmx_caps_msr(&caps, w->caps[1]);
		if (id == CHECK_GUEST_CR0 && vmcs12_get(&f->v, &vmcs12_fields[VMCS12_I_SECONDARY_VM_EXEC_CONTROL]) &
					     SECONDARY_EXEC_UNRESTRICTED_GUEST)
			must &= ~(uint64_t)(X86_CR0_PE | X86_CR0_PG);
	} else if (reserved_named(text, a)) {
		must = 0;
		may = ~reserved_named(text, a);
	} else {
		return;
	}
	w->field = fields[0];
	w->clear = must & ~val;
	w->set = val & ~may;
}
