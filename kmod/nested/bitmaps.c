// SPDX-License-Identifier: GPL-2.0
/* L1's MSR, I/O, VMREAD and VMWRITE bitmaps: merged with L0's or looked up at exits. SDM 3C 25.6.4, .9, .15. */
#include <linux/string.h>
#include <asm/apicdef.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/vmcs02.h"

#define BITMAP_WORDS	(PAGE_SIZE / sizeof(u64))

/* MSRs 0x800-0x8ff are the local APIC's: L2 never reaches the registers of the host's, nor unasked L1's (CVE-2019-3887). */
static bool bitmaps_is_x2apic_word(unsigned int w)
{
	unsigned int low = w % (BITMAP_WORDS / 2);	/* reads and writes alike */

	return low >= 0x800 / 64 && low < 0x900 / 64;
}

/**
 * nested_remerge_bitmaps() - VMCS01's MSR bitmap changed
 * @vcpu: its thread; before nested_create() too
 *
 * L1 may change its bitmap in memory at any time, so that each entry has to
 * look at it again. Only words where L0 lets something through can differ
 * from all ones: find them here, once, so that an entry merges a handful.
 */
void nested_remerge_bitmaps(struct vcpu *vcpu)
{
	const u64 *l0 = (const u64 *)vcpu->msr_bitmap01;
	struct nested *n = &vcpu->nested;
	unsigned int w;

	n->nr_msr_words = 0;
	for (w = 0; w < BITMAP_WORDS; w++) {
		if (l0[w] == ~0ULL || bitmaps_is_x2apic_word(w))
			continue;
		/* What does not fit exits, and is done by L0. */
		if (WARN_ON_ONCE(n->nr_msr_words == NESTED_MSR_WORDS))
			break;
		n->msr_words[n->nr_msr_words++] = w;
	}
	if (n->msr_bitmap02)
		memset(n->msr_bitmap02, 0xff, PAGE_SIZE);
	n->x2apic_passed = false;
	n->bitmap_due = true;
}

#define X2APIC_BIT(reg)	BIT_ULL((reg) >> 4)	/* of a register up to 0x3f0, in the first of the words */

/*
 * With the x2APIC virtualized the processor answers from the virtual-APIC page
 * what L1 lets L2 have, and what it would not answer so exits (SDM 3C 30.5).
 */
static void bitmaps_merge_x2apic(struct nested *n, const u64 *l1, u64 *out)
{
	u32 proc2 = n->ctl02.proc2;
	u64 reads = proc2 & SECONDARY_EXEC_APIC_REGISTER_VIRT ? ~0ULL : X2APIC_BIT(APIC_TASKPRI), writes = X2APIC_BIT(APIC_TASKPRI);
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
}

void bitmaps_merge(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const u64 *l0 = (const u64 *)vcpu->msr_bitmap01, *l1 = n->msr_bitmap12.hva;
	u64 *out = (u64 *)n->msr_bitmap02;
	unsigned int i, w;

	n->bitmap_due = false;
	for (i = 0; i < n->nr_msr_words; i++) {
		w = n->msr_words[i];
		/* Where L1 has no memory it reads all ones. */
		out[w] = l1 ? l0[w] | READ_ONCE(l1[w]) : ~0ULL;
	}
	if (n->x2apic_passed || (n->ctl02.proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		bitmaps_merge_x2apic(n, l1, out);
}

/* One byte of a bitmap of L1's; all ones where it has no memory. */
static u8 bitmaps_read_byte(struct vcpu *vcpu, gpa_t gpa)
{
	u8 b;

	return vm_read_guest(vcpu->vm, gpa, &b, 1) ? 0xff : b;
}

static gpa_t bitmaps_io_byte_gpa(const struct vmcs12 *v, u32 byte)
{
	return byte < PAGE_SIZE ? v->io_bitmap_a + byte : v->io_bitmap_b + byte - PAGE_SIZE;
}

bool bitmaps_io_hit(struct vcpu *vcpu, u64 qual)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	struct route_bit b = route_io_bits(qual);

	if (!b.mask)
		return true;
	if (bitmaps_read_byte(vcpu, bitmaps_io_byte_gpa(v, b.byte)) & (u8)b.mask)
		return true;
	return b.mask >> 8 && (bitmaps_read_byte(vcpu, bitmaps_io_byte_gpa(v, b.byte + 1)) & (b.mask >> 8));
}

bool bitmaps_msr_hit(struct vcpu *vcpu, u32 msr, bool write)
{
	const struct nested *n = &vcpu->nested;
	struct route_bit b = route_msr_bit(msr, write);

	if (!b.mask)
		return true;
	if (n->msr_bitmap12.page)
		return READ_ONCE(((const u8 *)n->msr_bitmap12.hva)[b.byte]) & b.mask;
	return bitmaps_read_byte(vcpu, n->vmcs12->msr_bitmap + b.byte) & b.mask;
}

/* Encodings beyond the bitmap's 32768 bits exit whatever it says (SDM 3C 26.1.3, VMREAD). */
bool bitmaps_vmcs_hit(struct vcpu *vcpu, u64 enc, bool write)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	gpa_t bitmap = write ? v->vmwrite_bitmap : v->vmread_bitmap;

	if (enc >> 15)
		return true;
	return bitmaps_read_byte(vcpu, bitmap + enc / 8) & BIT(enc % 8);
}
