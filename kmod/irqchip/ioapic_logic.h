/* SPDX-License-Identifier: GPL-2.0 */
/* Registers and pins of an I/O APIC; pure, the caller does the locking. */
#ifndef DROSTE_IOAPIC_LOGIC_H
#define DROSTE_IOAPIC_LOGIC_H

#include <linux/types.h>
#include <linux/kvm.h>

#define IOAPIC_PINS		KVM_IOAPIC_NUM_PINS
#define IOAPIC_DEFAULT_BASE	0xfec00000ull

/* Redirection entry bits (82093AA 3.2.4); vector and delivery mode are laid out as in ICR */
#define IOAPIC_RTE_DELIVERY	BIT_ULL(12)	/* delivery status, read-only */
#define IOAPIC_RTE_REMOTE_IRR	BIT_ULL(14)	/* a level interrupt is being served, read-only */
#define IOAPIC_RTE_LEVEL	BIT_ULL(15)
#define IOAPIC_RTE_MASKED	BIT_ULL(16)

/* After so many EOIs in a row, a level line that stays up interrupts with a delay. */
#define IOAPIC_STORM		10000

/* The state of an I/O APIC. */
struct ioapic {
	u64 base;			/* address of its page */
	u32 select;			/* IOREGSEL */
	u32 id;				/* bits 27:24, in place */
	u32 irr;			/* pins whose line is up or that have seen an edge */
	u32 delivered;			/* the pins in @irr whose edge was sent */
	u64 rte[IOAPIC_PINS];		/* redirection entries */
	u8 sources[IOAPIC_PINS];	/* sources that assert each line: bits of enum irq_source */
	u16 eois[IOAPIC_PINS];		/* EOIs in a row that found the level line still up */
	unsigned long handled[256 / BITS_PER_LONG];	/* vectors that entries name; read without the lock */

	/* Sends an entry's interrupt; returns the processors reached, -1 if none. Called under the caller's lock. */
	int (*fire)(struct ioapic *io, u64 rte);
};

void ioapic_init(struct ioapic *io, int (*fire)(struct ioapic *io, u64 rte));
int ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source, bool level);
u32 ioapic_pins_of(const struct ioapic *io, u8 vector);
u32 ioapic_end(struct ioapic *io, u32 pins);
void ioapic_resend(struct ioapic *io, u32 pins);
u32 ioapic_read(const struct ioapic *io, u32 offset);
int ioapic_unmasks(const struct ioapic *io, u32 offset, u32 val);
u32 ioapic_write(struct ioapic *io, u32 offset, u32 val);
void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state);
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state);

/* Register offsets in the page */
#define IOAPIC_REG_SELECT	0x00
#define IOAPIC_REG_WINDOW	0x10
#define IOAPIC_REG_EOI		0x40	/* write: vector whose level interrupt has ended; from version 0x20 on */

#endif
