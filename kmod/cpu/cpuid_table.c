// SPDX-License-Identifier: GPL-2.0
/* CPUID as plain values (SDM 2A, CPUID): a table with one row per leaf filters the host's bits for guests. Pure. */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kvm_para.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>
#include "cpu/cpuid_table.h"
#include "ept/format.h"
#include "pv/features.h"

#define MAX_BASIC	0x16
#define MAX_EXTENDED	0x80000008
#define NO_INDEX	0
#define INDEXED		KVM_CPUID_FLAG_SIGNIFCANT_INDEX
#define ALL		(~0U)

/* One leaf as a guest sees it. Leaves without a row read as 0. */
struct leaf_row {
	u32 fn, index;
	u32 flags;		/* INDEXED: the leaf has sub-leaves, and this row is for one of them */
	u32 keep[NR_CPUID_REGS];	/* bits that are as the host's */
	u32 force[NR_CPUID_REGS];	/* bits that are always set */
};

/* CPUID.1:ECX. Hidden: MONITOR, DS, PDCM (no performance counters), SMX, and the bits that user space sets. */
#define LEAF1_ECX (BIT(0) /* SSE3 */ | BIT(1) /* PCLMULQDQ */ | BIT(5) /* VMX */ | BIT(9) /* SSSE3 */ | \
	BIT(12) /* FMA */ | BIT(13) /* CX16 */ | BIT(17) /* PCID */ | BIT(19) /* SSE4.1 */ | BIT(20) /* SSE4.2 */ | \
	BIT(22) /* MOVBE */ | BIT(23) /* POPCNT */ | BIT(25) /* AES */ | BIT(26) /* XSAVE */ | BIT(28) /* AVX */ | \
	BIT(29) /* F16C */ | BIT(30) /* RDRAND */)
/* x2APIC and the TSC deadline: Droste emulates the local APIC, so the host need not have them. Bit 31: hypervisor. */
#define LEAF1_ECX_FORCE (BIT(21) | BIT(24) | BIT(31))
/* CPUID.1:EDX. Hidden: PSN, DS, ACPI, HTT, TM, PBE. */
#define LEAF1_EDX (GENMASK(9, 0) | GENMASK(17, 11) | BIT(19) | GENMASK(27, 23))

/* CPUID.7.0. Hidden: SGX, MPX, RDT, PT; CET, WAITPKG; IA32_CORE_CAPABILITIES; AMX. */
#define LEAF7_EBX (BIT(0) /* FSGSBASE */ | GENMASK(11, 3) | BIT(13) /* no FCS, FDS */ | GENMASK(21, 16) | \
	GENMASK(24, 23) | GENMASK(31, 26))
#define LEAF7_EBX_FORCE BIT(1)	/* TSC_ADJUST, which Droste emulates */
#define LEAF7_ECX (BIT(1) /* VBMI */ | ECX7_UMIP | ECX7_PKU | BIT(6) /* VBMI2 */ | GENMASK(12, 8) | \
	BIT(14) /* VPOPCNTDQ */ | ECX7_LA57 | \
	BIT(22) /* RDPID */ | BIT(25) /* CLDEMOTE */ | BIT(27) /* MOVDIRI */ | BIT(28) /* MOVDIR64B */)
#define LEAF7_EDX (BIT(2) | BIT(3) /* Xeon Phi's AVX-512 */ | BIT(4) /* FSRM */ | BIT(8) /* VP2INTERSECT */ | \
	BIT(10) /* MD_CLEAR */ | BIT(14) /* SERIALIZE */ | BIT(16) /* TSXLDTRK */ | BIT(23) /* AVX512_FP16 */ | \
	EDX7_SPEC_CTRL | EDX7_STIBP | EDX7_FLUSH_L1D | EDX7_ARCH_CAPS | EDX7_SSBD)
#define LEAF7_1_EAX (BIT(4) /* AVX_VNNI */ | BIT(5) /* AVX512_BF16 */ | BIT(7) | GENMASK(12, 10) /* fast strings */ | \
	BIT(23) /* AVX_IFMA */)
#define LEAF7_1_EDX (BIT(4) /* AVX_VNNI_INT8 */ | BIT(5) /* AVX_NE_CONVERT */ | BIT(14) /* PREFETCHI */)
/* Bits of IA32_SPEC_CTRL: PSFD, IPRED_CTRL, RRSBA_CTRL, DDPD_U, BHI_CTRL */
#define SPEC_CTRL_7_2_EDX GENMASK(4, 0)
#define LEAF7_2_EDX (SPEC_CTRL_7_2_EDX | BIT(5) /* MCDT_NO */)

#define EXT1_ECX (BIT(0) /* LAHF */ | BIT(5) /* LZCNT */ | BIT(8) /* PREFETCHW */)
#define EXT1_EDX (BIT(11) /* SYSCALL */ | BIT(20) /* NX */ | BIT(26) /* 1-GiB pages */ | BIT(27) /* RDTSCP */ | BIT(29) /* LM */)

static const struct leaf_row leaf_rows[] = {
	{ 0x0, NO_INDEX, 0, { ALL, ALL, ALL, ALL } },		/* EAX: capped in cpuid_finish() */
	{ 0x1, NO_INDEX, 0, { ALL, GENMASK(15, 0), LEAF1_ECX, LEAF1_EDX }, { 0, 0, LEAF1_ECX_FORCE, 0 } },
	{ 0x2, NO_INDEX, 0, { ALL, ALL, ALL, ALL } },
	{ 0x6, NO_INDEX, 0, { 0 }, { BIT(2), 0, 0, 0 } },	/* the APIC timer runs in every power state */
	{ 0x7, 0, INDEXED, { ALL, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX }, { 0, LEAF7_EBX_FORCE, 0, 0 } },
	{ 0x7, 1, INDEXED, { LEAF7_1_EAX, 0, 0, LEAF7_1_EDX } },
	{ 0x7, 2, INDEXED, { 0, 0, 0, LEAF7_2_EDX } },
	{ 0xb, 0, INDEXED, { 0 } },				/* topology: user space fills it in */
	{ 0x15, NO_INDEX, 0, { ALL, ALL, ALL, 0 } },
	{ 0x16, NO_INDEX, 0, { ALL, ALL, ALL, 0 } },
	{ 0x80000000, NO_INDEX, 0, { ALL, 0, 0, 0 } },
	{ 0x80000001, NO_INDEX, 0, { 0, 0, EXT1_ECX, EXT1_EDX } },
	{ 0x80000002, NO_INDEX, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000003, NO_INDEX, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000004, NO_INDEX, 0, { ALL, ALL, ALL, ALL } },
	{ 0x80000005, NO_INDEX, 0, { 0 } },
	{ 0x80000006, NO_INDEX, 0, { 0, 0, ALL, 0 } },
	{ 0x80000007, NO_INDEX, 0, { 0, 0, 0, BIT(8) } },	/* invariant TSC */
	/* EAX: computed in cpuid_finish(). EBX: WBNOINVD, which exits as WBINVD does (SDM 3C 26.1.3). */
	{ 0x80000008, NO_INDEX, 0, { ALL, BIT(9), 0, 0 } },
};

/* Feature bits that need another feature: they are cleared if it is missing. */
struct dependency {
	u32 fn, index;
	enum cpuid_reg reg;
	u32 bits;
	enum {
		NEED_XSAVE, NEED_AVX, NEED_AVX512, NEED_RDTSCP, NEED_INVPCID,
		NEED_PKU, NEED_SPEC_CTRL, NEED_STIBP, NEED_SSBD, NEED_FLUSH_L1D, NEED_ARCH_CAPS
	} need;
};

#define AVX512_7_EBX (BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define AVX512_7_ECX (BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define AVX512_7_EDX (BIT(2) | BIT(3) | BIT(8) | BIT(23))

static const struct dependency dependencies[] = {
	{ 0x1, 0, CPUID_RCX, BIT(26), NEED_XSAVE },
	{ 0x1, 0, CPUID_RCX, BIT(12) | BIT(28) | BIT(29), NEED_AVX },
	{ 0x7, 0, CPUID_RBX, BIT(5), NEED_AVX },
	{ 0x7, 0, CPUID_RCX, BIT(9) | BIT(10), NEED_AVX },
	{ 0x7, 1, CPUID_RAX, BIT(4) | BIT(23), NEED_AVX },
	{ 0x7, 1, CPUID_RDX, BIT(4) | BIT(5), NEED_AVX },
	{ 0x7, 0, CPUID_RBX, AVX512_7_EBX, NEED_AVX512 },
	{ 0x7, 0, CPUID_RCX, AVX512_7_ECX, NEED_AVX512 },
	{ 0x7, 0, CPUID_RDX, AVX512_7_EDX, NEED_AVX512 },
	{ 0x7, 1, CPUID_RAX, BIT(5), NEED_AVX512 },
	{ 0x80000001, 0, CPUID_RDX, BIT(27), NEED_RDTSCP },
	{ 0x7, 0, CPUID_RCX, BIT(22), NEED_RDTSCP },
	{ 0x7, 0, CPUID_RBX, BIT(10), NEED_INVPCID },
	{ 0x7, 0, CPUID_RCX, ECX7_PKU, NEED_PKU },
	{ 0x7, 0, CPUID_RDX, EDX7_SPEC_CTRL, NEED_SPEC_CTRL },
	{ 0x7, 0, CPUID_RDX, EDX7_STIBP, NEED_STIBP },
	{ 0x7, 0, CPUID_RDX, EDX7_SSBD, NEED_SSBD },
	{ 0x7, 0, CPUID_RDX, EDX7_FLUSH_L1D, NEED_FLUSH_L1D },
	{ 0x7, 0, CPUID_RDX, EDX7_ARCH_CAPS, NEED_ARCH_CAPS },
	{ 0x7, 2, CPUID_RDX, SPEC_CTRL_7_2_EDX, NEED_SPEC_CTRL },
};

#define XCR0_AVX	BIT_ULL(2)
#define XCR0_PKRU	BIT_ULL(9)
#define XCR0_AVX512	(BIT_ULL(5) | BIT_ULL(6) | BIT_ULL(7))

static bool cpuid_have(const struct cpuid_host *host, int need)
{
	switch (need) {
	case NEED_XSAVE:
		return host->xcr0;
	case NEED_AVX:
		return host->xcr0 & XCR0_AVX;
	case NEED_AVX512:
		return (host->xcr0 & XCR0_AVX512) == XCR0_AVX512;
	case NEED_RDTSCP:
		return host->rdtscp;
	case NEED_INVPCID:
		return host->invpcid;
	case NEED_PKU:
		return host->xcr0 & XCR0_PKRU;
	case NEED_SPEC_CTRL:
		return host->spec_ctrl;
	case NEED_STIBP:
		return host->stibp;
	case NEED_SSBD:
		return host->ssbd;
	case NEED_FLUSH_L1D:
		return host->flush_l1d;
	default:
		return host->arch_caps;
	}
}

/* The array that entries are appended to. */
struct sink {
	struct kvm_cpuid_entry2 *out;
	int n, max;
	bool full;	/* an entry did not fit */
};

static struct kvm_cpuid_entry2 *cpuid_emit(struct sink *s, u32 fn, u32 index, u32 flags, const u32 r[NR_CPUID_REGS])
{
	struct kvm_cpuid_entry2 *e;

	if (s->n == s->max) {
		s->full = true;
		return NULL;
	}
	e = &s->out[s->n++];
	*e = (struct kvm_cpuid_entry2) { .function = fn, .index = index, .flags = flags, .eax = r[CPUID_RAX],
					 .ebx = r[CPUID_RBX], .ecx = r[CPUID_RCX], .edx = r[CPUID_RDX] };
	return e;
}

/* Leaf 4: the host's caches, each as if no other core shared it. User space sets which cores share a cache. */
static void cpuid_emit_caches(const struct cpuid_host *host, struct sink *s)
{
	u32 r[NR_CPUID_REGS], i;

	for (i = 0; i < 16; i++) {
		host->read(host, 4, i, r);
		r[CPUID_RAX] &= GENMASK(13, 0);
		cpuid_emit(s, 4, i, INDEXED, r);
		if (!(r[CPUID_RAX] & GENMASK(4, 0)))
			return;
	}
}

/* Leaf 0xd (SDM 1, 13.2): the components that may be enabled, their offsets and sizes, and the area's size. */
static void cpuid_emit_xsave(const struct cpuid_host *host, struct sink *s)
{
	const u32 zero[NR_CPUID_REGS] = { 0 };
	u32 r[NR_CPUID_REGS], i, features;
	struct kvm_cpuid_entry2 *main_leaf, *sub1;

	if (!host->xcr0) {
		cpuid_emit(s, 0xd, 0, INDEXED, zero);
		return;
	}
	main_leaf = cpuid_emit(s, 0xd, 0, INDEXED, zero);
	host->read(host, 0xd, 1, r);
	/* XSAVEOPT, XSAVEC, XGETBV with ECX 1, XSAVES; not XFD */
	features = r[CPUID_RAX] & (GENMASK(2, 0) | (host->xsaves ? BIT(3) : 0));
	sub1 = cpuid_emit(s, 0xd, 1, INDEXED, zero);
	for (i = 2; i < 63; i++) {
		if (!(host->xcr0 & BIT_ULL(i)))
			continue;
		host->read(host, 0xd, i, r);
		r[CPUID_RCX] &= BIT(1);		/* alignment in the compacted format; not bit 0, supervisor state */
		r[CPUID_RDX] = 0;
		cpuid_emit(s, 0xd, i, INDEXED, r);
	}
	if (!main_leaf || !sub1)
		return;
	main_leaf->eax = host->xcr0;
	main_leaf->edx = host->xcr0 >> 32;
	main_leaf->ecx = cpuid_xsave_size(s->out, s->n, host->xcr0, false);
	main_leaf->ebx = main_leaf->ecx;
	sub1->eax = features;
	/* EBX of both is the size for the components that are enabled now: see cpuid_run_time_bits(). */
	sub1->ebx = features & (BIT(1) | BIT(3)) ? cpuid_xsave_size(s->out, s->n, host->xcr0, true) : 0;
}

static void cpuid_emit_signature(struct sink *s)
{
	u32 r[NR_CPUID_REGS] = { CPUID_DROSTE_MAX };

	memcpy(&r[CPUID_RBX], CPUID_DROSTE_SIGNATURE, 12);
	cpuid_emit(s, CPUID_DROSTE_BASE, 0, 0, r);
	/* KVM's feature leaf. User space may replace the signature above by KVM's. */
	memset(r, 0, sizeof(r));
	r[CPUID_RAX] = PV_FEATURES;
	cpuid_emit(s, CPUID_DROSTE_PV, 0, 0, r);
	r[CPUID_RAX] = DROSTE_CPUID_ALL;
	r[CPUID_RBX] = DROSTE_MULTICALL_MAX;
	cpuid_emit(s, CPUID_DROSTE_MAX, 0, 0, r);
}

/* Limits and values that a row of bit masks cannot express. */
static void cpuid_finish(const struct cpuid_host *host, struct kvm_cpuid_entry2 *e)
{
	u32 linear;

	switch (e->function) {
	case 0:
		e->eax = min_t(u32, e->eax, MAX_BASIC);
		break;
	case 7:
		if (e->index)
			break;
		e->eax = min_t(u32, e->eax, 2);
		if (host->umip_emulated)
			e->ecx |= ECX7_UMIP;
		break;
	case 0x80000000:
		e->eax = min_t(u32, e->eax, MAX_EXTENDED);
		break;
	case 0x80000008:
		/*
		 * PhysAddrSize is that of the processor, which decides about reserved bits
		 * in the guest's page tables. A 4-level EPT maps 48 bits of guest-physical
		 * address (SDM 3C 29.3.2): GuestPhysAddrSize, bits 23:16, says so, as in KVM.
		 * Linear addresses have 57 bits with LA57, else 48.
		 */
		linear = (e->eax >> 8 & 0xff) == 57 ? 57 : 48;
		e->eax &= 0xff;
		e->eax |= linear << 8 | min_t(u32, e->eax, EPT_GPA_BITS) << 16;
		break;
	}
}

static u32 *cpuid_entry_reg(struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	switch (reg) {
	case CPUID_RAX:
		return &e->eax;
	case CPUID_RBX:
		return &e->ebx;
	case CPUID_RCX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

static void cpuid_apply_dependencies(const struct cpuid_host *host, struct kvm_cpuid_entry2 *e)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(dependencies); i++) {
		const struct dependency *d = &dependencies[i];

		if (d->fn == e->function && d->index == e->index && !cpuid_have(host, d->need))
			*cpuid_entry_reg(e, d->reg) &= ~d->bits;
	}
}

static void cpuid_emit_row(const struct cpuid_host *host, struct sink *s, const struct leaf_row *row)
{
	struct kvm_cpuid_entry2 *e;
	u32 r[NR_CPUID_REGS];
	int i;

	host->read(host, row->fn, row->index, r);
	for (i = 0; i < NR_CPUID_REGS; i++)
		r[i] = (r[i] & row->keep[i]) | row->force[i];
	e = cpuid_emit(s, row->fn, row->index, row->flags, r);
	if (!e)
		return;
	cpuid_finish(host, e);
	cpuid_apply_dependencies(host, e);
}

/* Does the host have the leaf? For a leaf above its highest one, CPUID would return the bits of another leaf. */
static bool cpuid_host_has(const struct cpuid_host *host, const struct leaf_row *row)
{
	u32 r[NR_CPUID_REGS];

	host->read(host, row->fn & 0x80000000, 0, r);
	if (row->fn > r[CPUID_RAX])
		return false;
	if (row->fn != 7 || !row->index)
		return true;
	host->read(host, 7, 0, r);
	return row->index <= r[CPUID_RAX];
}

/**
 * cpuid_supported() - list all entries that a guest of a host may be given
 * @host: the host
 * @out: filled with the entries, in ascending order of leaf and sub-leaf
 * @max: room in @out
 *
 * Return: the number of entries, or -E2BIG if @max is too small.
 */
int cpuid_supported(const struct cpuid_host *host, struct kvm_cpuid_entry2 *out, int max)
{
	struct sink s = { .out = out, .max = max };
	u32 r[NR_CPUID_REGS], max_basic;
	int i;

	host->read(host, 0, 0, r);
	max_basic = r[CPUID_RAX];
	for (i = 0; i < ARRAY_SIZE(leaf_rows); i++) {
		const struct leaf_row *row = &leaf_rows[i];

		/* Leaves 4, 0xd and 0x40000000 are computed; each goes before the row that follows it in order. */
		if (row->fn == 0x6 && max_basic >= 4)
			cpuid_emit_caches(host, &s);
		if (row->fn == 0x15 && max_basic >= 0xd)
			cpuid_emit_xsave(host, &s);
		if (row->fn == 0x80000000)
			cpuid_emit_signature(&s);
		if (cpuid_host_has(host, row))
			cpuid_emit_row(host, &s, row);
	}
	return s.full ? -E2BIG : s.n;
}

/**
 * cpuid_find() - find an entry by leaf and sub-leaf
 * @entries: a guest's CPUID
 * @n: number of entries
 * @fn: leaf
 * @index: sub-leaf; ignored for entries without KVM_CPUID_FLAG_SIGNIFCANT_INDEX
 *
 * Return: the entry. NULL if there is none.
 */
const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct kvm_cpuid_entry2 *e = &entries[i];

		if (e->function == fn && (e->index == index || !(e->flags & INDEXED)))
			return e;
	}
	return NULL;
}

static u32 cpuid_max_of_range(const struct kvm_cpuid_entry2 *entries, int n, u32 base)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, base, 0);

	return e ? e->eax : 0;
}

/**
 * cpuid_answer() - find the entry that CPUID returns
 * @entries: a guest's CPUID
 * @n: number of entries
 * @fn: leaf that the guest asks for
 * @index: sub-leaf that the guest asks for
 *
 * A leaf above the highest of its range returns the values of the highest
 * basic leaf (SDM 2A, CPUID).
 *
 * Return: the entry. NULL if CPUID returns zeros.
 */
const struct kvm_cpuid_entry2 *cpuid_answer(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index)
{
	u32 base = fn >= 0x80000000 ? 0x80000000 : fn >= 0x40000000 ? fn & 0xffffff00 : 0;
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, fn, index);

	/* An entry of user space counts even if it is above the highest leaf that user space set. */
	if (e || fn <= cpuid_max_of_range(entries, n, base))
		return e;
	return cpuid_find(entries, n, cpuid_max_of_range(entries, n, 0), index);
}

/**
 * cpuid_xsave_size() - compute the size of an XSAVE area
 * @entries: a guest's CPUID; sub-leaves 2 and up of leaf 0xd describe the components
 * @n: number of entries
 * @mask: components in the area, as in XCR0 and IA32_XSS
 * @compacted: the area has the compacted format
 *
 * Components without an entry take no room. SDM 1, 13.4.
 *
 * Return: the size in bytes.
 */
u32 cpuid_xsave_size(const struct kvm_cpuid_entry2 *entries, int n, u64 mask, bool compacted)
{
	u32 size = 512 + 64;	/* legacy area and header: SDM 1, 13.4.1, 13.4.2 */
	u32 i;

	for (i = 2; i < 63; i++) {
		const struct kvm_cpuid_entry2 *e;

		if (!(mask & BIT_ULL(i)))
			continue;
		e = cpuid_find(entries, n, 0xd, i);
		if (!e)
			continue;
		if (!compacted) {
			size = max(size, e->ebx + e->eax);
			continue;
		}
		if (e->ecx & BIT(1))
			size = ALIGN(size, 64);
		size += e->eax;
	}
	return size;
}

/**
 * cpuid_has() - test bits of a guest's CPUID
 * @entries: the guest's CPUID
 * @n: number of entries
 * @fn: leaf
 * @index: sub-leaf
 * @reg: register of the result
 * @bit: mask of one or more bits
 *
 * Return: true if at least one of the bits is set.
 */
bool cpuid_has(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index, enum cpuid_reg reg, u32 bit)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(entries, n, fn, index);

	return e && (*cpuid_entry_reg((struct kvm_cpuid_entry2 *)e, reg) & bit);
}

/* Bits of a control register or an MSR, and the CPUID bit that makes them writable. */
struct cr_bit {
	u64 allowed;
	u32 fn;
	enum cpuid_reg reg;
	u32 bit;
	u32 index;	/* sub-leaf */
};

static const struct cr_bit cr4_bits[] = {
	{ X86_CR4_VME | X86_CR4_PVI, 1, CPUID_RDX, BIT(1) },
	{ X86_CR4_DE, 1, CPUID_RDX, BIT(2) },
	{ X86_CR4_PSE, 1, CPUID_RDX, BIT(3) },
	{ X86_CR4_TSD, 1, CPUID_RDX, BIT(4) },
	{ X86_CR4_PAE, 1, CPUID_RDX, BIT(6) },
	{ X86_CR4_MCE, 1, CPUID_RDX, BIT(7) },
	{ X86_CR4_PGE, 1, CPUID_RDX, BIT(13) },
	{ X86_CR4_OSFXSR, 1, CPUID_RDX, BIT(24) },
	{ X86_CR4_OSXMMEXCPT, 1, CPUID_RDX, BIT(25) },
	{ X86_CR4_VMXE, 1, CPUID_RCX, BIT(5) },
	{ X86_CR4_PCIDE, 1, CPUID_RCX, BIT(17) },
	{ X86_CR4_OSXSAVE, 1, CPUID_RCX, BIT(26) },
	{ X86_CR4_FSGSBASE, 7, CPUID_RBX, BIT(0) },
	{ X86_CR4_SMEP, 7, CPUID_RBX, BIT(7) },
	{ X86_CR4_SMAP, 7, CPUID_RBX, BIT(20) },
	{ X86_CR4_UMIP, 7, CPUID_RCX, ECX7_UMIP },
	{ X86_CR4_PKE, 7, CPUID_RCX, ECX7_PKU },
	{ X86_CR4_LA57, 7, CPUID_RCX, ECX7_LA57 },
};

static const struct cr_bit efer_bits[] = {
	{ EFER_SCE, 0x80000001, CPUID_RDX, BIT(11) },
	{ EFER_NX, 0x80000001, CPUID_RDX, BIT(20) },
	{ EFER_LME | EFER_LMA, 0x80000001, CPUID_RDX, BIT(29) },
};

static const struct cr_bit spec_ctrl_bits[] = {
	{ SPEC_CTRL_IBRS, 7, CPUID_RDX, EDX7_SPEC_CTRL },
	{ SPEC_CTRL_STIBP, 7, CPUID_RDX, EDX7_STIBP },
	{ SPEC_CTRL_SSBD, 7, CPUID_RDX, EDX7_SSBD },
	{ BIT_ULL(7) /* PSFD */, 7, CPUID_RDX, BIT(0), 2 },
	{ BIT_ULL(3) | BIT_ULL(4) /* IPRED_DIS_U, _S */, 7, CPUID_RDX, BIT(1), 2 },
	{ BIT_ULL(5) | BIT_ULL(6) /* RRSBA_DIS_U, _S */, 7, CPUID_RDX, BIT(2), 2 },
	{ BIT_ULL(8) /* DDPD_U */, 7, CPUID_RDX, BIT(3), 2 },
	{ BIT_ULL(10) /* BHI_DIS_S */, 7, CPUID_RDX, BIT(4), 2 },
};

static u64 cpuid_allowed(const struct cr_bit *rows, int nr_rows, const struct kvm_cpuid_entry2 *entries, int n)
{
	u64 bits = 0;
	int i;

	for (i = 0; i < nr_rows; i++) {
		if (cpuid_has(entries, n, rows[i].fn, rows[i].index, rows[i].reg, rows[i].bit))
			bits |= rows[i].allowed;
	}
	return bits;
}

/**
 * cpuid_cr4_allowed() - the CR4 bits that a guest's CPUID makes writable (SDM 3A 2.5)
 * @entries: the guest's CPUID
 * @n: number of entries
 *
 * Return: a mask of CR4 bits.
 */
u64 cpuid_cr4_allowed(const struct kvm_cpuid_entry2 *entries, int n)
{
	/* PCE has no CPUID bit: every processor with CPUID has it. */
	return cpuid_allowed(cr4_bits, ARRAY_SIZE(cr4_bits), entries, n) | X86_CR4_PCE;
}

/**
 * cpuid_efer_allowed() - the IA32_EFER bits that a guest's CPUID makes writable (SDM 3A 2.2.1)
 * @entries: the guest's CPUID
 * @n: number of entries
 *
 * Return: a mask of IA32_EFER bits.
 */
u64 cpuid_efer_allowed(const struct kvm_cpuid_entry2 *entries, int n)
{
	return cpuid_allowed(efer_bits, ARRAY_SIZE(efer_bits), entries, n);
}

/**
 * cpuid_spec_ctrl_allowed() - the IA32_SPEC_CTRL bits that a guest's CPUID makes writable (SDM 4, table 2-2)
 * @entries: the guest's CPUID
 * @n: number of entries
 *
 * Return: a mask of IA32_SPEC_CTRL bits; 0 if there is no such MSR.
 */
u64 cpuid_spec_ctrl_allowed(const struct kvm_cpuid_entry2 *entries, int n)
{
	return cpuid_allowed(spec_ctrl_bits, ARRAY_SIZE(spec_ctrl_bits), entries, n);
}
