// SPDX-License-Identifier: GPL-2.0
/* Local APIC decisions as pure functions, testable without vCPUs and clocks. */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/time64.h>
#include "lapic_logic.h"

#define LR_R	BIT(0)
#define LR_W	BIT(1)
#define LR_RW	(LR_R | LR_W)

/*
 * The access rights of a register in memory and as an MSR, and its bits. A
 * write with a reserved bit (neither in @mask nor in @ignored) ignores the bit
 * in xAPIC mode and raises #GP in x2APIC mode.
 */
struct lapic_reg {
	u8 xapic, x2apic;	/* LR_* */
	u32 mask;		/* writable bits */
	u32 ignored;		/* read-only bits that a write may set */
};

#define LVT_COMMON	(0xffu | LAPIC_LVT_MASKED)
#define LVT_DELIVERY	BIT(12)				/* delivery status, read-only */
#define LVT_REMOTE_IRR	BIT(14)				/* read-only, LINT only */
#define LVT_LINT	(LVT_COMMON | LAPIC_LVT_MODE | BIT(13) | BIT(15))
#define LVT_TIMER_MODE	(BIT(17) | BIT(18))
#define ICR_RESERVED	(GENMASK(31, 20) | GENMASK(17, 16) | BIT(13))	/* of its lower half */

/* The registers (SDM 3A tables 11-1 and 11-6); reserved bits are from the figures of 11.5 to 11.9. */
static const struct lapic_reg lapic_regs[LAPIC_REGS_SIZE / 16] = {
	[LAPIC_ID / 16]		= { LR_RW, LR_R, 0xff000000 },
	[LAPIC_VERSION / 16]	= { LR_R, LR_R },
	[LAPIC_TPR / 16]	= { LR_RW, LR_RW, 0xff },
	[LAPIC_APR / 16]	= { LR_R, 0 },
	[LAPIC_PPR / 16]	= { LR_R, LR_R },
	[LAPIC_EOI / 16]	= { LR_W, LR_W },
	[LAPIC_RRR / 16]	= { LR_R, 0 },
	[LAPIC_LDR / 16]	= { LR_RW, LR_R, 0xff000000 },
	[LAPIC_DFR / 16]	= { LR_RW, 0, 0xf0000000 },
	/* Bit 9, focus checking, does not exist since the Pentium 4. */
	[LAPIC_SVR / 16]	= { LR_RW, LR_RW, 0x1ff, BIT(9) },
	/* ISR, TMR and IRR are contiguous. */
	[LAPIC_ISR / 16 ... LAPIC_IRR / 16 + 7] = { LR_R, LR_R },
	[LAPIC_ESR / 16]	= { LR_RW, LR_RW },
	[LAPIC_LVT_CMCI / 16]	= { LR_RW, LR_RW, LVT_COMMON | LAPIC_LVT_MODE, LVT_DELIVERY },
	/* The register in memory keeps reserved bits, as on processors and in KVM; the MSR does not. */
	[LAPIC_ICR / 16]	= { LR_RW, LR_RW, ~(u32)LAPIC_ICR_BUSY, LAPIC_ICR_BUSY },
	[LAPIC_ICR2 / 16]	= { LR_RW, 0, 0xff000000 },
	[LAPIC_LVTT / 16]	= { LR_RW, LR_RW, LVT_COMMON | BIT(17), LVT_DELIVERY },
	[LAPIC_LVT_THERMAL / 16] = { LR_RW, LR_RW, LVT_COMMON | LAPIC_LVT_MODE, LVT_DELIVERY },
	[LAPIC_LVT_PMC / 16]	= { LR_RW, LR_RW, LVT_COMMON | LAPIC_LVT_MODE, LVT_DELIVERY },
	[LAPIC_LVT0 / 16]	= { LR_RW, LR_RW, LVT_LINT, LVT_DELIVERY | LVT_REMOTE_IRR },
	[LAPIC_LVT1 / 16]	= { LR_RW, LR_RW, LVT_LINT, LVT_DELIVERY | LVT_REMOTE_IRR },
	[LAPIC_LVT_ERROR / 16]	= { LR_RW, LR_RW, LVT_COMMON, LVT_DELIVERY },
	[LAPIC_TMICT / 16]	= { LR_RW, LR_RW, 0xffffffff },
	[LAPIC_TMCCT / 16]	= { LR_R, LR_R },
	[LAPIC_TDCR / 16]	= { LR_RW, LR_RW, 0xb },
	[LAPIC_SELF_IPI / 16]	= { 0, LR_W, 0xff },
};

static u8 lapic_access(u32 reg, enum lapic_mode mode, struct lapic_caps caps)
{
	if (reg >= LAPIC_REGS_SIZE || (reg & 0xf))
		return 0;
	if (reg == LAPIC_LVT_CMCI && !caps.cmci)
		return 0;
	return mode == LAPIC_X2APIC ? lapic_regs[reg / 16].x2apic : lapic_regs[reg / 16].xapic;
}

/**
 * lapic_readable() - can a register be read in this mode?
 * @reg: the register's offset
 * @mode: LAPIC_XAPIC or LAPIC_X2APIC
 * @caps: the features of this vCPU's APIC
 *
 * Context: Any. Pure.
 * Return: true if it can.
 */
bool lapic_readable(u32 reg, enum lapic_mode mode, struct lapic_caps caps)
{
	return lapic_access(reg, mode, caps) & LR_R;
}

/**
 * lapic_writable() - can a register be written in this mode?
 * @reg: the register's offset
 * @mode: LAPIC_XAPIC or LAPIC_X2APIC
 * @caps: the features of this vCPU's APIC
 *
 * Context: Any. Pure.
 * Return: true if it can.
 */
bool lapic_writable(u32 reg, enum lapic_mode mode, struct lapic_caps caps)
{
	return lapic_access(reg, mode, caps) & LR_W;
}

/**
 * lapic_write_mask() - the writable bits of a register
 * @reg: offset of a register that lapic_writable() allows
 * @caps: the features of this vCPU's APIC
 *
 * Context: Any. Pure.
 * Return: the bits that a write changes.
 */
u32 lapic_write_mask(u32 reg, struct lapic_caps caps)
{
	u32 mask = lapic_regs[reg / 16].mask;

	if (reg == LAPIC_LVTT && caps.tsc_deadline)
		mask |= LVT_TIMER_MODE;
	if (reg == LAPIC_SVR && caps.directed_eoi)
		mask |= LAPIC_SVR_NO_BROADCAST;
	return mask;
}

/**
 * lapic_x2apic_check_write() - does WRMSR of this value fault?
 * @reg: the register's offset
 * @val: the value to be written
 * @caps: the features of this vCPU's APIC
 *
 * Context: Any. Pure.
 * Return: 0, or -EINVAL for #GP (SDM 11.12.1.3).
 */
int lapic_x2apic_check_write(u32 reg, u64 val, struct lapic_caps caps)
{
	if (!lapic_writable(reg, LAPIC_X2APIC, caps))
		return -EINVAL;
	/* Only ICR has 64 bits; its upper half is the destination. */
	if (val >> 32 && reg != LAPIC_ICR)
		return -EINVAL;
	if ((u32)val & ~(lapic_write_mask(reg, caps) | lapic_regs[reg / 16].ignored))
		return -EINVAL;
	if (reg == LAPIC_ICR && (val & ICR_RESERVED))
		return -EINVAL;
	if (reg == LAPIC_LVTT && ((u32)val & LVT_TIMER_MODE) == LVT_TIMER_MODE)
		return -EINVAL;
	return 0;
}

/**
 * lapic_mode_of() - the APIC mode that IA32_APIC_BASE selects
 * @base: the MSR's value
 *
 * Context: Any. Pure.
 * Return: the mode (SDM table 11-5).
 */
enum lapic_mode lapic_mode_of(u64 base)
{
	if (base & LAPIC_BASE_EXTD)
		return base & LAPIC_BASE_EN ? LAPIC_X2APIC : LAPIC_INVALID;
	return base & LAPIC_BASE_EN ? LAPIC_XAPIC : LAPIC_DISABLED;
}

/**
 * lapic_check_base() - is a change of IA32_APIC_BASE allowed?
 * @old: the current value
 * @new: the value to be written
 * @maxphyaddr: the vCPU's physical-address width
 * @has_x2apic: CPUID offers x2APIC
 * @host: user space restores a state, so any valid mode may follow any other
 *
 * Context: Any. Pure.
 * Return: 0, or -EINVAL for #GP (SDM 11.4.4 and figure 11-26).
 */
int lapic_check_base(u64 old, u64 new, u8 maxphyaddr, bool has_x2apic, bool host)
{
	enum lapic_mode from = lapic_mode_of(old), to = lapic_mode_of(new);

	if (new >> maxphyaddr || (new & (0xffull | BIT_ULL(9))))
		return -EINVAL;
	if ((new & LAPIC_BASE_EXTD) && !has_x2apic)
		return -EINVAL;
	if (to == LAPIC_INVALID)
		return -EINVAL;
	if (!host && from == LAPIC_X2APIC && to == LAPIC_XAPIC)
		return -EINVAL;
	if (!host && from == LAPIC_DISABLED && to == LAPIC_X2APIC)
		return -EINVAL;
	return 0;
}

/**
 * lapic_find_highest() - find the highest vector set in IRR, ISR or TMR
 * @field: the first of the eight registers; others may set bits concurrently
 *
 * Context: Any.
 * Return: the vector, -1 if none is set.
 */
int lapic_find_highest(const void *field)
{
	const u32 *words = field;
	int i;

	/* Mostly there is none. One branch for all words. */
	if (!(READ_ONCE(words[0]) | READ_ONCE(words[4]) | READ_ONCE(words[8]) | READ_ONCE(words[12]) |
	      READ_ONCE(words[16]) | READ_ONCE(words[20]) | READ_ONCE(words[24]) | READ_ONCE(words[28])))
		return -1;
	for (i = 7; i >= 0; i--) {
		u32 word = READ_ONCE(words[4 * i]);

		if (word)
			return i * 32 + fls(word) - 1;
	}
	return -1;
}

/**
 * lapic_ppr() - compute the processor priority (SDM 11.8.3.1)
 * @tpr: task priority
 * @isr_top: highest vector in service, -1 if none
 *
 * Context: Any. Pure.
 * Return: the value of PPR.
 */
u8 lapic_ppr(u8 tpr, int isr_top)
{
	u8 isrv = isr_top < 0 ? 0 : isr_top;

	return (tpr & 0xf0) >= (isrv & 0xf0) ? tpr : isrv & 0xf0;
}

/**
 * lapic_apr() - compute the arbitration priority, which selects the target of a lowest-priority interrupt
 * @tpr: task priority
 * @isr_top: highest vector in ISR, -1 if none
 * @irr_top: highest vector in IRR, -1 if none
 *
 * Context: Any. Pure.
 * Return: the value of APR (SDM 11.6.2.4).
 */
u8 lapic_apr(u8 tpr, int isr_top, int irr_top)
{
	u8 isrv = isr_top < 0 ? 0 : isr_top & 0xf0;
	u8 irrv = irr_top < 0 ? 0 : irr_top & 0xf0;

	if ((tpr & 0xf0) >= irrv && (tpr & 0xf0) > isrv)
		return tpr;
	return max3((u8)(tpr & 0xf0), isrv, irrv);
}

/**
 * lapic_deliverable() - is a vector's priority class above the processor priority (SDM 11.8.3.1)?
 * @vector: the vector, -1 if none
 * @ppr: processor priority
 *
 * Context: Any. Pure.
 * Return: true if the processor takes the interrupt.
 */
bool lapic_deliverable(int vector, u8 ppr)
{
	return vector >= 0 && (vector & 0xf0) > (ppr & 0xf0);
}

/**
 * lapic_vector_legal() - can an APIC send and accept this vector in this delivery mode (SDM 11.5.2)?
 * @mode: LAPIC_DM_*
 * @vector: the vector
 *
 * Context: Any. Pure.
 * Return: true if it can.
 */
bool lapic_vector_legal(u16 mode, u8 vector)
{
	return (mode != LAPIC_DM_FIXED && mode != LAPIC_DM_LOWEST) || vector >= 16;
}

/**
 * lapic_x2apic_ldr() - derive the logical x2APIC ID from the APIC ID (SDM 11.12.10.2)
 * @id: the APIC ID
 *
 * Context: Any. Pure.
 * Return: the value of LDR.
 */
u32 lapic_x2apic_ldr(u32 id)
{
	return (id >> 4) << 16 | 1u << (id & 0xf);
}

static bool lapic_match_logical(const struct lapic_target *t, u32 dest)
{
	u32 ldr = t->ldr >> 24;

	if (t->mode == LAPIC_X2APIC)
		return t->ldr >> 16 == dest >> 16 && (t->ldr & dest & 0xffff);
	if (dest > 0xff)
		return false;
	/* DFR: all ones is the flat model, all zeros the cluster model (SDM 11.6.2.2). */
	if (t->dfr >> 28 == 0xf)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

/**
 * lapic_match() - does a message's destination field address this APIC?
 * @t: the APIC
 * @msg: the message; its shorthand is ignored
 *
 * The broadcast address is 0xff in a message with an 8-bit destination, and
 * all ones in a message of an x2APIC (SDM 11.6.2.1, 11.12.9).
 *
 * Context: Any. Pure.
 * Return: true if it does.
 */
bool lapic_match(const struct lapic_target *t, const struct irq_msg *msg)
{
	if (t->mode != LAPIC_XAPIC && t->mode != LAPIC_X2APIC)
		return false;
	if (msg->dest == (msg->x2apic ? U32_MAX : 0xff))
		return true;
	if (msg->logical)
		return lapic_match_logical(t, msg->dest);
	return t->id == msg->dest;
}

/**
 * lapic_msg_from_icr() - decode the message that a write of ICR sends (SDM 11.6.1)
 * @msg: filled
 * @icr: lower half of ICR
 * @dest: the destination; 8 bits in xAPIC mode
 * @x2apic: the sender is in x2APIC mode
 *
 * Context: Any. Pure.
 */
void lapic_msg_from_icr(struct irq_msg *msg, u32 icr, u32 dest, bool x2apic)
{
	*msg = (struct irq_msg) {
		.dest = dest,
		.mode = icr & 0x700,
		.vector = icr,
		.shorthand = (icr >> 18) & 3,
		.logical = icr & LAPIC_ICR_LOGICAL,
		/* The trigger mode matters only for INIT: level without assert is a de-assert. */
		.assert = !(icr & LAPIC_ICR_LEVEL) || (icr & LAPIC_ICR_ASSERT),
		.x2apic = x2apic,
	};
}

/**
 * lapic_msg_from_msi() - decode an MSI (SDM 11.11)
 * @msg: filled
 * @addr: the address written
 * @data: the data written
 * @wide: bits 63:40 of the address are bits 31:8 of the destination (KVM_X2APIC_API_USE_32BIT_IDS)
 *
 * Context: Any. Pure.
 */
void lapic_msg_from_msi(struct irq_msg *msg, u64 addr, u32 data, bool wide)
{
	u32 dest = ((addr >> 12) & 0xff) | (wide ? (addr >> 32) & ~0xffu : 0);

	*msg = (struct irq_msg) {
		.dest = dest,
		/* A destination above 8 bits is an x2APIC ID. */
		.x2apic = dest > 0xff,
		.logical = addr & BIT(2),
		.redirect = addr & BIT(3),
		.mode = data & 0x700,
		.vector = data,
		.level = data & BIT(15),
		.assert = true,
	};
}

/**
 * lapic_msg_from_rte() - decode the message of an I/O APIC's redirection entry
 * @msg: filled
 * @rte: the entry (82093AA 3.2.4)
 *
 * Context: Any. Pure.
 */
void lapic_msg_from_rte(struct irq_msg *msg, u64 rte)
{
	*msg = (struct irq_msg) {
		.dest = rte >> 56,
		.logical = rte & BIT(11),
		.mode = rte & 0x700,
		.vector = rte,
		.level = rte & BIT(15),
		.assert = true,
	};
}

/**
 * lapic_timer_mode() - the timer's mode, LVT timer bits 18:17 (SDM figure 11-8)
 * @lvtt: the LVT timer register
 *
 * Context: Any. Pure.
 * Return: the mode.
 */
enum lapic_timer_mode lapic_timer_mode(u32 lvtt)
{
	return (lvtt >> 17) & 3;
}

/**
 * lapic_divisor() - decode the divide configuration register (SDM figure 11-10)
 * @tdcr: the register
 *
 * Context: Any. Pure.
 * Return: the divisor, 1 to 128.
 */
u32 lapic_divisor(u32 tdcr)
{
	u32 code = (tdcr & 3) | (tdcr & 8) >> 1;

	/* Codes 0 to 6 divide by 2 to 128, code 7 by 1. */
	return 1u << ((code + 1) & 7);
}

/**
 * lapic_timer_left() - how long the current count will last
 * @target: when the count reaches 0, in ns
 * @now: the time in ns
 * @period: length of a period in ns, 0 if the timer is not periodic
 *
 * A periodic counter keeps counting while a tick is due but not delivered yet,
 * so the count is taken modulo the period.
 *
 * Context: Any. Pure.
 * Return: ns.
 */
u64 lapic_timer_left(u64 target, u64 now, u64 period)
{
	if (target > now)
		return target - now;
	return period ? period - (now - target) % period : 0;
}

/**
 * lapic_cycles_to_ns() - how long cycles of the timer's clock last
 * @cycles: up to 2^32 counts with the largest divisor
 * @hz: the rate, not 0
 *
 * Context: Any. Pure.
 * Return: ns, rounded up so that a timer never fires early.
 */
u64 lapic_cycles_to_ns(u64 cycles, u32 hz)
{
	return cycles / hz * NSEC_PER_SEC + (cycles % hz * NSEC_PER_SEC + hz - 1) / hz;
}

/**
 * lapic_ns_to_cycles() - cycles of the timer's clock in some time
 * @ns: the time, less than a thousand years
 * @hz: the rate, up to 2^30
 *
 * Context: Any. Pure.
 * Return: the cycles, rounded down.
 */
u64 lapic_ns_to_cycles(u64 ns, u32 hz)
{
	return ns / NSEC_PER_SEC * hz + ns % NSEC_PER_SEC * hz / NSEC_PER_SEC;
}

/**
 * lapic_timer_advance() - the first expiry of a periodic timer after @now
 * @target: an expiry, in ns
 * @now: the time in ns
 * @period: length of a period in ns
 *
 * Context: Any. Pure.
 * Return: the expiry in ns, a whole number of periods after @target.
 */
u64 lapic_timer_advance(u64 target, u64 now, u64 period)
{
	if (now < target)
		return target;
	return target + ((now - target) / period + 1) * period;
}

/**
 * lapic_tsc_to_ns() - convert TSC cycles to ns
 * @cycles: the cycles
 * @khz: frequency of the TSC
 *
 * Context: Any. Pure.
 * Return: ns, rounded up so that a timer never fires early.
 */
u64 lapic_tsc_to_ns(u64 cycles, u32 khz)
{
	/* Cap at a century to avoid an overflow. */
	u64 limit = 100ull * 365 * 86400 * NSEC_PER_SEC;

	if (cycles / khz > limit / 1000000)
		return limit;
	return mul_u64_u32_div(cycles, 1000000, khz) + 1;
}
