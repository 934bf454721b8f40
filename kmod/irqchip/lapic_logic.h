/* SPDX-License-Identifier: GPL-2.0 */
/* Pure local APIC logic: registers, priorities, destinations and the timer. */
#ifndef DROSTE_LAPIC_LOGIC_H
#define DROSTE_LAPIC_LOGIC_H

#include <linux/bits.h>
#include <linux/types.h>

/* Register offsets within the APIC page (SDM 3A table 11-1); an x2APIC MSR is 0x800 + offset / 16 (table 11-6). */
#define LAPIC_ID	0x020
#define LAPIC_VERSION	0x030
#define LAPIC_TPR	0x080
#define LAPIC_APR	0x090
#define LAPIC_PPR	0x0a0
#define LAPIC_EOI	0x0b0
#define LAPIC_RRR	0x0c0
#define LAPIC_LDR	0x0d0
#define LAPIC_DFR	0x0e0
#define LAPIC_SVR	0x0f0
#define LAPIC_ISR	0x100
#define LAPIC_TMR	0x180
#define LAPIC_IRR	0x200
#define LAPIC_ESR	0x280
#define LAPIC_LVT_CMCI	0x2f0
#define LAPIC_ICR	0x300
#define LAPIC_ICR2	0x310
#define LAPIC_LVTT	0x320
#define LAPIC_LVT_THERMAL 0x330
#define LAPIC_LVT_PMC	0x340
#define LAPIC_LVT0	0x350
#define LAPIC_LVT1	0x360
#define LAPIC_LVT_ERROR	0x370
#define LAPIC_TMICT	0x380
#define LAPIC_TMCCT	0x390
#define LAPIC_TDCR	0x3e0
#define LAPIC_SELF_IPI	0x3f0
#define LAPIC_REGS_SIZE	0x400

#define LAPIC_SVR_ENABLED	BIT(8)
#define LAPIC_SVR_NO_BROADCAST	BIT(12)	/* suppress EOI broadcast (SDM 11.8.5) */
#define LAPIC_LVT_MASKED	BIT(16)
#define LAPIC_LVT_MODE		0x700u
#define LAPIC_VERSION_DIRECTED_EOI BIT(24)

/* Delivery modes, as encoded in ICR, LVT, redirection entries and MSI data (SDM 11.6.1) */
#define LAPIC_DM_FIXED		0x000u
#define LAPIC_DM_LOWEST		0x100u
#define LAPIC_DM_SMI		0x200u
#define LAPIC_DM_NMI		0x400u
#define LAPIC_DM_INIT		0x500u
#define LAPIC_DM_STARTUP	0x600u
#define LAPIC_DM_EXTINT		0x700u

#define LAPIC_ICR_LOGICAL	BIT(11)
#define LAPIC_ICR_BUSY		BIT(12)
#define LAPIC_ICR_ASSERT	BIT(14)
#define LAPIC_ICR_LEVEL		BIT(15)

/* ESR (SDM 11.5.3) */
#define LAPIC_ERR_SEND_VECTOR	BIT(5)
#define LAPIC_ERR_RECV_VECTOR	BIT(6)
#define LAPIC_ERR_REGISTER	BIT(7)

#define LAPIC_BASE_BSP		BIT_ULL(8)
#define LAPIC_BASE_EXTD		BIT_ULL(10)
#define LAPIC_BASE_EN		BIT_ULL(11)
#define LAPIC_DEFAULT_BASE	0xfee00000ull

/* The APIC's mode, selected by EN and EXTD of IA32_APIC_BASE (SDM table 11-5). */
enum lapic_mode {
	LAPIC_DISABLED,		/* globally off: as if the processor had no APIC */
	LAPIC_XAPIC,		/* registers in memory */
	LAPIC_X2APIC,		/* registers as MSRs */
	LAPIC_INVALID,		/* EXTD without EN: not a valid state */
};

/* The APIC features that depend on the vCPU's CPUID. */
struct lapic_caps {
	bool tsc_deadline;	/* the timer has TSC-deadline mode */
	bool directed_eoi;	/* EOI broadcasts can be suppressed */
	bool cmci;		/* there is an LVT entry for corrected machine checks */
};

/* An interrupt message and its destination. */
struct irq_msg {
	u32 dest;		/* APIC ID, or the logical destination */
	u16 mode;		/* LAPIC_DM_* */
	u8 vector;
	u8 shorthand;		/* enum lapic_shorthand */
	bool logical;		/* @dest is a logical destination */
	bool level;		/* level-triggered: the EOI is broadcast to the I/O APIC */
	bool assert;		/* for INIT: false for a level de-assert */
	bool x2apic;		/* sent by an x2APIC: @dest has 32 bits */
	bool redirect;		/* an MSI with the redirection hint: deliver to one of the targets */
};

/* ICR bits 19:18 (SDM figure 11-12). */
enum lapic_shorthand { LAPIC_TO_DEST, LAPIC_TO_SELF, LAPIC_TO_ALL, LAPIC_TO_OTHERS };

/* The state of a local APIC that decides whether a message addresses it. */
struct lapic_target {
	enum lapic_mode mode;
	u32 id;			/* APIC ID, without the shift of xAPIC's register */
	u32 ldr, dfr;		/* register values */
};

/* How the timer counts (SDM 11.5.4). */
enum lapic_timer_mode { LAPIC_ONESHOT, LAPIC_PERIODIC, LAPIC_TSC_DEADLINE, LAPIC_TIMER_INVALID };

enum lapic_mode lapic_mode_of(u64 base);
int lapic_check_base(u64 old, u64 new, u8 maxphyaddr, bool has_x2apic, bool host);

bool lapic_readable(u32 reg, enum lapic_mode mode, struct lapic_caps caps);
bool lapic_writable(u32 reg, enum lapic_mode mode, struct lapic_caps caps);
u32 lapic_write_mask(u32 reg, struct lapic_caps caps);
int lapic_x2apic_check_write(u32 reg, u64 val, struct lapic_caps caps);

int lapic_find_highest(const void *field);
u8 lapic_ppr(u8 tpr, int isr_top);
u8 lapic_apr(u8 tpr, int isr_top, int irr_top);
bool lapic_deliverable(int vector, u8 ppr);
bool lapic_vector_legal(u16 mode, u8 vector);
u32 lapic_x2apic_ldr(u32 id);
bool lapic_match(const struct lapic_target *t, const struct irq_msg *msg);

void lapic_msg_from_icr(struct irq_msg *msg, u32 icr, u32 dest, bool x2apic);
void lapic_msg_from_msi(struct irq_msg *msg, u64 addr, u32 data, bool wide);
void lapic_msg_from_rte(struct irq_msg *msg, u64 rte);

enum lapic_timer_mode lapic_timer_mode(u32 lvtt);
u32 lapic_divisor(u32 tdcr);
u64 lapic_timer_left(u64 target, u64 now, u64 period);
u64 lapic_cycles_to_ns(u64 cycles, u32 hz);
u64 lapic_ns_to_cycles(u64 ns, u32 hz);
u64 lapic_timer_advance(u64 target, u64 now, u64 period);
u64 lapic_tsc_to_ns(u64 cycles, u32 khz);

#endif
