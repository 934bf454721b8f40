// SPDX-License-Identifier: GPL-2.0
/* Reads and writes all state of a virtual processor, in the order in which each part finds what it needs. */
#include "vcpustate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../uapi/linux/droste.h"

#define MSR_TSC			0x010
#define MSR_FEATURE_CONTROL	0x03a
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_MC0_CTL		0x400
#define MSRS			(MSRS_OF_DEVICE + 1 + MSRS_NO_LIST)	/* most that are saved */

#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_XSAVE		(1u << 26)

/** struct why - where the sentence about an error goes */
struct why {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int bad(const struct why *why, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why->text, why->size, format, ap);
	va_end(ap);
	return -1;
}

static int failed(const struct why *why, const struct vcpu *vcpu, const char *what)
{
	return bad(why, "%s failed for CPU %u: %s", what, vcpu->id, strerror(errno));
}

/* What one ioctl reads, and one writes. */
struct plain {
	uint32_t type;
	uint32_t size;
	unsigned long get, set;
	long cap;		/* the capability without which there is no such state; 0: there always is */
	const char *name;
};

#define PLAIN(t, s, n, c) { t, sizeof(struct s), KVM_GET_##n, KVM_SET_##n, c, #n }

/* KVM_GET_MP_STATE is first, because it takes INIT and SIPI that have come. */
static const struct plain saved_first[] = {
	PLAIN(MOVE_MP, kvm_mp_state, MP_STATE, 0),
	PLAIN(MOVE_EVENTS, kvm_vcpu_events, VCPU_EVENTS, 0),
	PLAIN(MOVE_REGS, kvm_regs, REGS, 0),
	PLAIN(MOVE_SREGS, kvm_sregs, SREGS, 0),
	PLAIN(MOVE_XCRS, kvm_xcrs, XCRS, KVM_CAP_XCRS),
	PLAIN(MOVE_LAPIC, kvm_lapic_state, LAPIC, 0),
	PLAIN(MOVE_DEBUG, kvm_debugregs, DEBUGREGS, 0),
};

/* The local APIC's mode is in a system register; nested state comes before the registers, which are then L2's. */
static const struct plain before_nested[] = {
	PLAIN(MOVE_SREGS, kvm_sregs, SREGS, 0),
	PLAIN(MOVE_LAPIC, kvm_lapic_state, LAPIC, 0),
}, behind_nested[] = {
	PLAIN(MOVE_REGS, kvm_regs, REGS, 0),
	PLAIN(MOVE_XCRS, kvm_xcrs, XCRS, KVM_CAP_XCRS),		/* before XSAVE, which it selects */
}, last[] = {
	PLAIN(MOVE_EVENTS, kvm_vcpu_events, VCPU_EVENTS, 0),
	PLAIN(MOVE_MP, kvm_mp_state, MP_STATE, 0),
	PLAIN(MOVE_DEBUG, kvm_debugregs, DEBUGREGS, 0),
};

#define NR(array)	(sizeof(array) / sizeof((array)[0]))

static int add(struct move_state *s, const struct vcpu *vcpu, uint32_t type, const void *data, size_t len, const struct why *why)
{
	return move_state_add(s, type, vcpu->id, data, len) ? bad(why, "there is no memory for the state") : 0;
}

/* --- parts that are not plain --- */

static uint32_t xsave_size(const struct vcpu *vcpu)
{
	int size = vm_cap(vcpu->vm->fd, KVM_CAP_XSAVE2);

	return size > (int)sizeof(struct kvm_xsave) ? (uint32_t)size : sizeof(struct kvm_xsave);
}

static int save_xsave(struct vcpu *vcpu, struct move_state *s, const struct why *why)
{
	uint32_t size = xsave_size(vcpu);
	void *area = calloc(1, size);
	int ret = -1;

	if (!area)
		return bad(why, "there is no memory for the state");
	if (ioctl(vcpu->fd, size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, area))
		failed(why, vcpu, "KVM_GET_XSAVE");
	else
		ret = add(s, vcpu, MOVE_XSAVE, area, size, why);
	free(area);
	return ret;
}

static int restore_xsave(struct vcpu *vcpu, const struct move_state *s, const struct why *why)
{
	const struct part *p = move_state_find(s, MOVE_XSAVE, vcpu->id);
	uint32_t size = xsave_size(vcpu);
	void *area;
	int ret;

	if (p->length > size)
		return bad(why, "the FPU state of CPU %u has %u bytes, and the device takes %u", vcpu->id, p->length, size);
	area = calloc(1, size);
	if (!area)
		return bad(why, "there is no memory for the state");
	memcpy(area, p->data, p->length);
	ret = ioctl(vcpu->fd, KVM_SET_XSAVE, area) ? failed(why, vcpu, "KVM_SET_XSAVE") : 0;
	free(area);
	return ret;
}

static int save_cpuid(struct vcpu *vcpu, struct move_state *s, const struct why *why)
{
	struct kvm_cpuid2 *list = calloc(1, sizeof(*list) + 256 * sizeof(list->entries[0]));
	int ret = -1;

	if (!list)
		return bad(why, "there is no memory for the state");
	list->nent = 256;
	if (ioctl(vcpu->fd, KVM_GET_CPUID2, list))
		failed(why, vcpu, "KVM_GET_CPUID2");
	else
		ret = add(s, vcpu, MOVE_CPUID, list->entries, list->nent * sizeof(list->entries[0]), why);
	free(list);
	return ret;
}

struct kvm_cpuid2 *vcpu_state_cpuid(const struct move_state *s, unsigned int id)
{
	const struct part *p = move_state_find(s, MOVE_CPUID, id);
	struct kvm_cpuid2 *list = calloc(1, sizeof(*list) + p->length);

	if (!list)
		return NULL;
	list->nent = p->length / sizeof(list->entries[0]);
	memcpy(list->entries, p->data, p->length);
	return list;
}

static int save_nested(struct vcpu *vcpu, struct move_state *s, const struct why *why)
{
	int size = vm_cap(vcpu->vm->fd, KVM_CAP_NESTED_STATE);
	struct kvm_nested_state *n;
	int ret = -1;

	if (size < (int)sizeof(*n))
		return 0;
	n = calloc(1, size);
	if (!n)
		return bad(why, "there is no memory for the state");
	n->size = size;
	if (ioctl(vcpu->fd, KVM_GET_NESTED_STATE, n))
		failed(why, vcpu, "KVM_GET_NESTED_STATE");
	else
		ret = add(s, vcpu, MOVE_NESTED, n, n->size, why);
	free(n);
	return ret;
}

static int restore_nested(struct vcpu *vcpu, const struct move_state *s, const struct why *why)
{
	const struct part *p = move_state_find(s, MOVE_NESTED, vcpu->id);
	struct kvm_nested_state n;

	if (!p)
		return 0;
	memcpy(&n, p->data, sizeof(n));
	if (n.size < sizeof(n) || n.size > p->length)
		return bad(why, "the nested state of CPU %u does not fit into its record", vcpu->id);
	return ioctl(vcpu->fd, KVM_SET_NESTED_STATE, p->data) ? failed(why, vcpu, "KVM_SET_NESTED_STATE") : 0;
}

/* --- MSRs --- */

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static bool get_msr(const struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = index };
	bool got = ioctl(vcpu->fd, KVM_GET_MSRS, &m) == 1;

	*value = m.entry.data;
	return got;
}

/* An MSR that cannot be written, but has the value already, is as good. The number of banks has a call of its own. */
static int set_msr(const struct vcpu *vcpu, uint32_t index, uint64_t value, const struct why *why)
{
	struct one_msr m = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };
	uint64_t has;

	if (ioctl(vcpu->fd, KVM_SET_MSRS, &m) == 1 || (get_msr(vcpu, index, &has) && has == value) ||
	    (index == MSR_MCG_CAP && !ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &value)))
		return 0;
	return bad(why, "the device does not take the value %#llx of MSR %#x of CPU %u", (unsigned long long)value, index, vcpu->id);
}

/* --- the TSC --- */

/*
 * A value that is read or written takes time, which differs from vCPU to vCPU, and guests expect one TSC of all. So the others'
 * are saved as that of vCPU 0 and the difference of the offsets, and restored likewise.
 */
static bool tsc_offset(const struct vcpu *vcpu, unsigned long request, int64_t *offset)
{
	struct kvm_device_attr a = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset,
	};

	return !ioctl(vcpu->fd, request, &a);
}

/* Whether a state has an MSR, and its value. */
static bool saved_msr(const struct move_state *s, unsigned int id, uint32_t index, uint64_t *value)
{
	const struct part *p = move_state_find(s, MOVE_MSRS, id);
	struct kvm_msr_entry e;

	for (uint32_t at = 0; p && at < p->length; at += sizeof(e)) {
		memcpy(&e, p->data + at, sizeof(e));
		*value = e.data;
		if (e.index == index)
			return true;
	}
	return false;
}

static uint64_t saved_tsc(const struct move_state *s, unsigned int id)
{
	uint64_t value;

	return saved_msr(s, id, MSR_TSC, &value) ? value : 0;
}

static uint64_t same_tsc(const struct vcpu *vcpu, const struct move_state *s, uint64_t own)
{
	uint64_t first = vcpu->id ? saved_tsc(s, 0) : 0;
	int64_t mine, of_first;

	if (!first || !tsc_offset(vcpu, KVM_GET_DEVICE_ATTR, &mine) ||
	    !tsc_offset(&vcpu->vm->vcpu[0], KVM_GET_DEVICE_ATTR, &of_first))
		return own;
	return first + (uint64_t)mine - (uint64_t)of_first;
}

/* Returns whether nothing is left to do. vCPU 0 has its TSC. */
static bool restore_same_tsc(const struct vcpu *vcpu, const struct move_state *s, uint64_t value)
{
	uint64_t first = vcpu->id ? saved_tsc(s, 0) : 0;
	int64_t offset;

	if (!first || !tsc_offset(&vcpu->vm->vcpu[0], KVM_GET_DEVICE_ATTR, &offset))
		return false;
	offset = (uint64_t)offset + value - first;
	return tsc_offset(vcpu, KVM_SET_DEVICE_ATTR, &offset);
}

/* --- all MSRs --- */

/* Adds those of the device's list. Some of them are not there without a feature that the guest lacks. */
static uint32_t get_listed(const struct vcpu *vcpu, const struct move_state *s, struct kvm_msr_entry *entry)
{
	const struct msrs *m = &vcpu->vm->msrs;
	uint32_t n = 0;
	uint64_t value;

	for (uint32_t i = 0; i < m->nr; i++)
		if (get_msr(vcpu, m->index[i], &value))
			entry[n++] = (struct kvm_msr_entry) {
				.index = m->index[i], .data = m->index[i] == MSR_TSC ? same_tsc(vcpu, s, value) : value,
			};
	return n;
}

static bool is_mc_ctl(uint32_t index)
{
	return index >= MSR_MC0_CTL && index < MSR_MC0_CTL + 0x80 && index % 4 == 0;
}

/* Adds those that no device lists, unless they have the value of a new processor: of these, all but IA32_MCi_CTL are 0 then. */
static uint32_t get_unlisted(const struct vcpu *vcpu, struct kvm_msr_entry *entry)
{
	uint32_t index[MSRS_NO_LIST], n = 0;
	uint64_t cap = 0, value;

	if (get_msr(vcpu, MSR_MCG_CAP, &cap) && !msrs_has(&vcpu->vm->msrs, MSR_MCG_CAP))
		entry[n++] = (struct kvm_msr_entry) { .index = MSR_MCG_CAP, .data = cap };
	for (uint32_t i = 0, all = msrs_in_no_list(index, cap); i < all; i++)
		if (get_msr(vcpu, index[i], &value) && (value || is_mc_ctl(index[i])))
			entry[n++] = (struct kvm_msr_entry) { .index = index[i], .data = value };
	return n;
}

static int save_msrs(struct vcpu *vcpu, struct move_state *s, const struct why *why)
{
	struct kvm_msr_entry *entry = calloc(MSRS, sizeof(*entry));
	uint32_t n;
	int ret;

	if (!entry)
		return bad(why, "there is no memory for the state");
	n = get_listed(vcpu, s, entry);
	n += get_unlisted(vcpu, entry + n);
	ret = add(s, vcpu, MOVE_MSRS, entry, n * sizeof(*entry), why);
	free(entry);
	return ret;
}

/* Restores the MSRs for which @chosen is true. */
static int restore_msrs(struct vcpu *vcpu, const struct move_state *s, bool (*chosen)(uint32_t index), const struct why *why)
{
	const struct part *p = move_state_find(s, MOVE_MSRS, vcpu->id);
	struct kvm_msr_entry e;

	for (uint32_t at = 0; at < p->length; at += sizeof(e)) {
		memcpy(&e, p->data + at, sizeof(e));
		if (e.index == MSR_TSC && chosen(e.index) && restore_same_tsc(vcpu, s, e.data))
			continue;
		if (chosen(e.index) && set_msr(vcpu, e.index, e.data, why))
			return -1;
	}
	return 0;
}

/* Nested state is allowed only if the guest may use VMX. The banks begin anew when their number is set. */
static bool msr_first(uint32_t index)
{
	return index == MSR_FEATURE_CONTROL || index == MSR_MCG_CAP;
}

/* The deadline counts if the local APIC's timer has that mode, and TSC is right. */
static bool msr_last(uint32_t index)
{
	return index == MSR_TSC_DEADLINE;
}

static bool msr_other(uint32_t index)
{
	return !msr_first(index) && !msr_last(index);
}

/* --- all --- */

/* The VM's answer is that of its own pool, whatever the device's is now. */
static bool has(const struct vcpu *vcpu, const struct plain *p)
{
	return !p->cap || vm_cap(vcpu->vm->fd, p->cap);
}

static int save_plain(struct vcpu *vcpu, struct move_state *s, const struct plain *p, const struct why *why)
{
	union {
		struct kvm_lapic_state largest;
		struct kvm_sregs sregs;
		struct kvm_xcrs xcrs;
		struct kvm_debugregs debug;
		struct kvm_vcpu_events events;
	} u;

	memset(&u, 0, sizeof(u));
	if (!has(vcpu, p))
		return 0;
	if (ioctl(vcpu->fd, p->get, &u))
		return bad(why, "KVM_GET_%s failed for CPU %u: %s", p->name, vcpu->id, strerror(errno));
	/* These two are saved always, and restored only with their flags. */
	if (p->type == MOVE_EVENTS)
		u.events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	return add(s, vcpu, p->type, &u, p->size, why);
}

int vcpu_state_save(struct vcpu *vcpu, struct move_state *s, char *text, size_t size)
{
	const struct why why = { text, size };

	for (size_t i = 0; i < NR(saved_first); i++)
		if (save_plain(vcpu, s, &saved_first[i], &why))
			return -1;
	return save_xsave(vcpu, s, &why) || save_nested(vcpu, s, &why) || save_msrs(vcpu, s, &why) || save_cpuid(vcpu, s, &why) ? -1 : 0;
}

static int restore_plain(struct vcpu *vcpu, const struct move_state *s, const struct plain *p, size_t n, const struct why *why)
{
	for (; n; n--, p++) {
		const struct part *part = move_state_find(s, p->type, vcpu->id);

		if (part && ioctl(vcpu->fd, p->set, part->data))
			return bad(why, "KVM_SET_%s failed for CPU %u: %s", p->name, vcpu->id, strerror(errno));
	}
	return 0;
}

/* --- whether a state is all of it --- */

static uint32_t saved_leaf1_ecx(const struct move_state *s, unsigned int id)
{
	const struct part *p = move_state_find(s, MOVE_CPUID, id);
	struct kvm_cpuid_entry2 e;

	for (uint32_t at = 0; at < p->length; at += sizeof(e)) {
		memcpy(&e, p->data + at, sizeof(e));
		if (e.function == 1)
			return e.ecx;
	}
	return 0;
}

/*
 * What a state need not have, it must have if the processor has it: a guest does not go on with a part of its state anew. The
 * processor has its CPUID, so that each MSR that it has can be read.
 */
static int check_all_there(const struct vcpu *vcpu, const struct move_state *s, const struct why *why)
{
	uint32_t ecx = saved_leaf1_ecx(s, vcpu->id);
	const struct droste_pool *pool = vcpu->vm->pool;
	uint64_t value;

	if (ecx & LEAF1_ECX_XSAVE && !move_state_find(s, MOVE_XCRS, vcpu->id))
		return bad(why, "its state is not complete: there is no XCR0 of CPU %u", vcpu->id);
	if (ecx & LEAF1_ECX_VMX && !move_state_find(s, MOVE_NESTED, vcpu->id))
		return bad(why, "its state is not complete: there is no nested state of CPU %u", vcpu->id);
	for (uint32_t i = 0; pool && i < pool->nr_list; i++)
		if (!saved_msr(s, vcpu->id, pool->list[i], &value) && get_msr(vcpu, pool->list[i], &value))
			return bad(why, "its state is not complete: there is no MSR %#x of CPU %u", pool->list[i], vcpu->id);
	return 0;
}

int vcpu_state_restore(struct vcpu *vcpu, const struct move_state *s, char *text, size_t size)
{
	const struct why why = { text, size };

	return check_all_there(vcpu, s, &why) || restore_msrs(vcpu, s, msr_first, &why) || restore_plain(vcpu, s, before_nested, NR(before_nested), &why) ||
	       restore_nested(vcpu, s, &why) || restore_plain(vcpu, s, behind_nested, NR(behind_nested), &why) ||
	       restore_xsave(vcpu, s, &why) || restore_msrs(vcpu, s, msr_other, &why) || restore_msrs(vcpu, s, msr_last, &why) ||
	       restore_plain(vcpu, s, last, NR(last), &why) ? -1 : 0;
}
