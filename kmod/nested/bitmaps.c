// SPDX-License-Identifier: GPL-2.0
/* L1's bitmaps: MSR and I/O, merged with L0's; I/O, VMREAD and VMWRITE, read at exits. SDM 3C 25.6.4, .9, .15. */
#include <linux/gfp.h>
#include <linux/string.h>
#include <asm/apicdef.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/bitmaps.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/*
 * Words of MSRs 0x800-0x8ff, the x2APIC registers. L2 must reach neither the
 * host's local APIC nor, unless L1 asks for it, L1's (CVE-2019-3887).
 */
static bool bitmaps_is_x2apic_word(unsigned int w)
{
	unsigned int low = w % (BITMAP_WORDS / 2);	/* the same for reads and writes */

	return low >= 0x800 / 64 && low < 0x900 / 64;
}

/* Words of STAR, LSTAR and FMASK, which L0 lets through for L1 alone: few hypervisors do so for L2. */
static bool bitmaps_is_l1s_word(unsigned int w)
{
	return w == BITMAPS_WORD(MSR_STAR, 0) || w == BITMAPS_WORD(MSR_STAR, 1);
}

/* Whether L0 lets an access through in a word that bitmaps_merge_words() leaves out. */
static bool bitmaps_has_other_word(const u64 *l0)
{
	static const u16 known[] = {
#define WORD(msr, write) BITMAPS_WORD(msr, write),
		BITMAPS_WORDS(WORD)
#undef WORD
	};
	unsigned int w, i;

	for (w = 0; w < BITMAP_WORDS; w++) {
		if (l0[w] == ~0ULL || bitmaps_is_x2apic_word(w) || bitmaps_is_l1s_word(w))
			continue;
		for (i = 0; i < ARRAY_SIZE(known) && known[i] != w; i++)
			;
		if (i == ARRAY_SIZE(known))
			return true;
	}
	return false;
}

/**
 * nested_remerge_bitmaps() - prepare for a changed MSR bitmap of VMCS01
 * @vcpu: the vCPU; may be called before nested_create()
 *
 * L1 may change its bitmap in memory at any time, so each entry merges again,
 * but only the words in which L0 may let an MSR through.
 *
 * Context: The vCPU's thread. Any VMCS may be current.
 */
void nested_remerge_bitmaps(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	/* A word that is missing in BITMAPS_WORDS stays all ones: its MSRs exit to L0. */
	WARN_ON_ONCE(bitmaps_has_other_word((const u64 *)vcpu->msr_bitmap01));
	if (n->msr_bitmap02)
		memset(n->msr_bitmap02, 0xff, PAGE_SIZE);
	n->x2apic_passed = false;
	n->bitmap_due = true;
}

#define X2APIC_BIT(reg)	BIT_ULL((reg) >> 4)	/* register @reg, up to 0x3f0, in the first of the words */

/**
 * bitmaps_merge_x2apic() - merge the words of the x2APIC registers
 * @n: of a vCPU in L2
 * @l1: L1's bitmap, NULL if it has no memory
 * @out: the result
 *
 * With "virtualize x2APIC mode" the processor serves some registers from the
 * virtual-APIC page (SDM 3C 30.5). L2 reaches those that L1's bitmap lets
 * through. All others must exit: they would go to the host's local APIC.
 *
 * Context: Any.
 */
void bitmaps_merge_x2apic(struct nested *n, const u64 *l1, u64 *out)
{
	u32 proc2 = n->ctl02.proc2;
	u64 reads = proc2 & SECONDARY_EXEC_APIC_REGISTER_VIRT ? ~0ULL : X2APIC_BIT(APIC_TASKPRI);
	u64 writes = X2APIC_BIT(APIC_TASKPRI);
	unsigned int r = 0x800 / 64, w = r + BITMAP_WORDS / 2;

	if (proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)
		writes |= X2APIC_BIT(APIC_EOI) | X2APIC_BIT(APIC_SELF_IPI);
	if (!l1 || !(proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		reads = writes = 0;
	out[r] = reads ? READ_ONCE(l1[r]) | ~reads : ~0ULL;
	out[w] = writes ? READ_ONCE(l1[w]) | ~writes : ~0ULL;
	for (r++; bitmaps_is_x2apic_word(r); r++)
		out[r] = reads == ~0ULL ? READ_ONCE(l1[r]) : ~0ULL;
	n->x2apic_passed = writes;
	n->x2apic_no_read = ~reads;
	n->x2apic_no_write = ~writes;
}

/**
 * bitmaps_merge() - merge L1's MSR bitmap with L0's into VMCS02's
 * @vcpu: in L2; L1's bitmap is pinned, or it has no memory there
 *
 * SDM 3C 25.6.9.
 *
 * Context: Process context. VMCS02 is current. Does not sleep.
 */
void bitmaps_merge(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const u64 *l0 = (const u64 *)vcpu->msr_bitmap01, *l1 = n->msr_bitmap12.hva;
	u64 *out = (u64 *)n->msr_bitmap02;

	n->bitmap_due = false;
	/* A bitmap without memory reads as all ones. */
	if (l1)
		bitmaps_merge_words(out, l0, l1);
	else
		memset(out, 0xff, PAGE_SIZE);
	if (n->x2apic_passed || (n->ctl02.proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		bitmaps_merge_x2apic(n, l1, out);
}

/**
 * nested_remerge_ports() - prepare for other ports that L0 passes
 * @vcpu: the vCPU
 *
 * bitmaps_merge_io() writes only the words with ports that L0 passes.
 *
 * Context: The vCPU's thread. Any VMCS may be current.
 */
void nested_remerge_ports(struct vcpu *vcpu)
{
	if (vcpu->nested.io_bitmaps02)
		memset(vcpu->nested.io_bitmaps02, 0xff, 2 * PAGE_SIZE);
}

/**
 * bitmaps_place_io() - bring VMCS02's I/O bitmaps up to date
 * @vcpu: in L2; VMCS02 uses I/O bitmaps, and L1's are pinned, or have no memory
 *
 * They are L0's own if L1 uses none: then L1 lets L2 access all ports.
 *
 * Context: Process context. VMCS02 is current. May sleep the first time.
 * Return: 0 or -ENOMEM.
 */
int bitmaps_place_io(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	hpa_t hpa = __pa(vcpu->ports->bitmaps);

	if (n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS) {
		if (!n->io_bitmaps02) {
			n->io_bitmaps02 = (u64 *)__get_free_pages(GFP_KERNEL_ACCOUNT, 1);
			if (!n->io_bitmaps02)
				return -ENOMEM;
			nested_remerge_ports(vcpu);
		}
		bitmaps_merge_io(n, vcpu->ports);
		hpa = __pa(n->io_bitmaps02);
	}
	if (n->held.io_bitmaps != hpa) {
		vmcs_write(IO_BITMAP_A, hpa);
		vmcs_write(IO_BITMAP_B, hpa + PAGE_SIZE);
		n->held.io_bitmaps = hpa;
	}
	return 0;
}

/* One byte of a bitmap of L1 that is not pinned; all ones if L1 has no memory there. */
static noinline u8 bitmaps_read_byte(struct vcpu *vcpu, gpa_t gpa)
{
	u8 b;

	return vm_read_guest(vcpu->vm, gpa, &b, 1) ? 0xff : b;
}

static u8 bitmaps_read_io_byte(struct vcpu *vcpu, u32 byte)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	const struct gpa_map *map = &vcpu->nested.io_bitmap12[byte / PAGE_SIZE];

	byte %= PAGE_SIZE;
	if (likely(map->page))
		return READ_ONCE(((const u8 *)map->hva)[byte]);
	return bitmaps_read_byte(vcpu, (map == vcpu->nested.io_bitmap12 ? v->io_bitmap_a : v->io_bitmap_b) + byte);
}

/**
 * bitmaps_io_hit() - whether L1's I/O bitmaps intercept an access (SDM 3C 25.6.4)
 * @vcpu: in L2; L1 uses I/O bitmaps
 * @qual: exit qualification of the I/O instruction
 *
 * Context: Process context. Caller holds vm->srcu, and it may sleep, unless both bitmaps are pinned.
 * Return: true if L1 gets the exit.
 */
bool bitmaps_io_hit(struct vcpu *vcpu, u64 qual)
{
	struct route_bit b = route_io_bits(qual);

	if (!b.mask)
		return true;
	if (bitmaps_read_io_byte(vcpu, b.byte) & (u8)b.mask)
		return true;
	return b.mask >> 8 && (bitmaps_read_io_byte(vcpu, b.byte + 1) & (b.mask >> 8));
}

/**
 * bitmaps_msr_hit() - whether L1's MSR bitmap intercepts an access (SDM 3C 25.6.9)
 * @vcpu: in L2; L1 uses an MSR bitmap
 * @msr: number of the MSR
 * @write: WRMSR, not RDMSR
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: true if L1 gets the exit.
 */
bool bitmaps_msr_hit(struct vcpu *vcpu, u32 msr, bool write)
{
	const struct nested *n = &vcpu->nested;
	struct route_bit b = route_msr_bit(msr, write);

	if (!b.mask)
		return true;
	if (likely(n->msr_bitmap12.page))
		return READ_ONCE(((const u8 *)n->msr_bitmap12.hva)[b.byte]) & b.mask;
	return bitmaps_read_byte(vcpu, n->vmcs12->msr_bitmap + b.byte) & b.mask;
}

/**
 * bitmaps_vmcs_hit() - whether L1 intercepts a VMREAD or VMWRITE (SDM 3C 25.6.15)
 * @vcpu: in L2; L1 uses VMCS shadowing
 * @enc: encoding of the field
 * @write: VMWRITE, not VMREAD
 *
 * Encodings beyond the bitmap's 32768 bits always exit (SDM 3C 26.1.3, VMREAD).
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: true if L1 gets the exit.
 */
bool bitmaps_vmcs_hit(struct vcpu *vcpu, u64 enc, bool write)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	gpa_t bitmap = write ? v->vmwrite_bitmap : v->vmread_bitmap;

	if (enc >> 15)
		return true;
	return bitmaps_read_byte(vcpu, bitmap + enc / 8) & BIT(enc % 8);
}
