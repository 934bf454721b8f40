/* SPDX-License-Identifier: GPL-2.0 */
/* The merge of L1's MSR and I/O bitmaps with L0's, which each VM entry of L1 makes. SDM 3C 25.6.4, 25.6.9. */
#ifndef DROSTE_NESTED_BITMAPS_H
#define DROSTE_NESTED_BITMAPS_H

#include <asm/msr-index.h>
#include "droste.h"
#include "nested/vmcs02.h"

#define BITMAP_WORDS	(PAGE_SIZE / sizeof(u64))

/* The u64 word of an MSR bitmap with the bit of @msr: four parts of 128 words, read low, read high, write low, write high. */
#define BITMAPS_WORD(msr, write) \
	(((msr) & 0x1fff) / 64 + ((msr) >= 0xc0000000 ? 128 : 0) + ((write) ? 256 : 0))

/*
 * The words in which msr_update_bitmap() may let an MSR of L2 through, x2APIC registers
 * aside: WORD(an MSR of the word, write). In all others the result is all ones.
 */
#define BITMAPS_WORDS(WORD) \
	WORD(MSR_IA32_TSC, false) \
	WORD(MSR_IA32_SPEC_CTRL, false) \
	WORD(MSR_IA32_SYSENTER_CS, false) \
	WORD(MSR_IA32_DEBUGCTLMSR, false) \
	WORD(MSR_FS_BASE, false) \
	WORD(MSR_IA32_SPEC_CTRL, true)	/* and IA32_PRED_CMD */ \
	WORD(MSR_IA32_FLUSH_CMD, true) \
	WORD(MSR_IA32_SYSENTER_CS, true) \
	WORD(MSR_FS_BASE, true)

/**
 * bitmaps_merge_words() - merge L1's MSR bitmap with L0's, x2APIC registers aside
 * @out: the result; all ones in the words that are not in BITMAPS_WORDS
 * @l0: L0's bitmap
 * @l1: L1's, which L1 may change meanwhile
 *
 * Context: Any.
 */
static __always_inline void bitmaps_merge_words(u64 *out, const u64 *l0, const u64 *l1)
{
#define WORD(msr, write) out[BITMAPS_WORD(msr, write)] = READ_ONCE(l1[BITMAPS_WORD(msr, write)]) | l0[BITMAPS_WORD(msr, write)];
	BITMAPS_WORDS(WORD)
#undef WORD
}

/**
 * bitmaps_merge_x2apic_again() - as bitmaps_merge_x2apic(), at a VM entry with the same controls as the last one
 * @n: of a vCPU in L2; L2 reaches some registers of the virtual APIC
 * @l1: L1's bitmap, which is pinned
 * @out: the result
 *
 * Context: Any.
 */
static __always_inline void bitmaps_merge_x2apic_again(struct nested *n, const u64 *l1, u64 *out)
{
	const unsigned int r = 0x800 / 64, w = r + 256;

	out[w] = READ_ONCE(l1[w]) | n->x2apic_no_write;
	if (likely(!n->x2apic_no_read)) {
		out[r] = READ_ONCE(l1[r]);
		out[r + 1] = READ_ONCE(l1[r + 1]);
		out[r + 2] = READ_ONCE(l1[r + 2]);
		out[r + 3] = READ_ONCE(l1[r + 3]);
	} else {
		out[r] = READ_ONCE(l1[r]) | n->x2apic_no_read;
	}
}

/**
 * bitmaps_merge_again() - as bitmaps_merge(), at a VM entry that repeats an earlier one
 * @vcpu: in L2; L1's bitmap is pinned
 *
 * Context: Interrupts disabled. Any VMCS may be current.
 */
static __always_inline void bitmaps_merge_again(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 *out = (u64 *)n->msr_bitmap02;
	const u64 *l1 = n->msr_bitmap12.hva;

	bitmaps_merge_words(out, (const u64 *)vcpu->msr_bitmap01, l1);
	if (n->ctl02.proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) {
		/* It is false after nested_remerge_bitmaps(). */
		if (likely(n->x2apic_passed))
			bitmaps_merge_x2apic_again(n, l1, out);
		else
			bitmaps_merge_x2apic(n, l1, out);
	}
}

/**
 * bitmaps_merge_io() - merge L1's I/O bitmaps with L0's into VMCS02's
 * @n: of a vCPU in L2; without I/O bitmaps of L1, VMCS02 has L0's, and nothing is merged
 * @p: the ports that L0 passes
 *
 * An L2 accesses a port without an exit only if both L0 and L1 let it. L1 may change its bitmaps meanwhile. One without
 * memory reads as all ones.
 *
 * Context: Any.
 */
static __always_inline void bitmaps_merge_io(struct nested *n, const struct ports *p)
{
	u32 i;

	if (!(n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS))
		return;
	for (i = 0; i < p->nr_words; i++) {
		unsigned int w = p->words[i];
		const u64 *l1 = n->io_bitmap12[w / BITMAP_WORDS].hva;

		n->io_bitmaps02[w] = p->bitmaps[w] | (l1 ? READ_ONCE(l1[w % BITMAP_WORDS]) : ~0ULL);
	}
}

#endif
