// SPDX-License-Identifier: GPL-2.0
/* Reads and writes of the local APIC's registers, in memory (xAPIC) and as MSRs (x2APIC). SDM 3A 11.4, 11.12. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

#define X2APIC_MSR_FIRST	0x800

/* Send the IPI that ICR describes, unless its vector is illegal. */
static void vlapic_send_ipi(struct vlapic *a, u32 icr, u32 dest)
{
	struct irq_msg msg;

	lapic_msg_from_icr(&msg, icr, dest, a->mode == LAPIC_X2APIC);
	if (!lapic_vector_legal(msg.mode, msg.vector)) {
		vlapic_error(a, LAPIC_ERR_SEND_VECTOR);
		return;
	}
	irq_deliver(a->vcpu->vm, a->vcpu, &msg);
}

/* Write of the SELF IPI register of x2APIC (SDM 11.12.11). */
static void vlapic_self_ipi(struct vlapic *a, u8 vector)
{
	if (!lapic_vector_legal(LAPIC_DM_FIXED, vector))
		vlapic_error(a, LAPIC_ERR_SEND_VECTOR);
	else
		vlapic_accept(a->vcpu, LAPIC_DM_FIXED, vector, false);
}

/**
 * vlapic_read_reg() - read a register
 * @a: the APIC
 * @reg: offset of a register that lapic_readable() allows
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: the value.
 */
u32 vlapic_read_reg(struct vlapic *a, u32 reg)
{
	/* An integrated APIC; bits 23:16 are the number of LVT entries minus one (SDM 11.4.8). */
	u32 version = 0x14 | (vlapic_caps(a).cmci ? 6 : 5) << 16;

	switch (reg) {
	case LAPIC_VERSION:
		return vlapic_caps(a).directed_eoi ? version | LAPIC_VERSION_DIRECTED_EOI : version;
	case LAPIC_PPR:
		return lapic_ppr(vlapic_reg(a, LAPIC_TPR), a->isr_top);
	case LAPIC_TMCCT:
		return vlapic_timer_read(a);
	default:
		return vlapic_reg(a, reg);
	}
}

static void vlapic_write_svr(struct vlapic *a, u32 val)
{
	u32 reg;

	vlapic_set_reg(a, LAPIC_SVR, val);
	if (val & LAPIC_SVR_ENABLED)
		return;
	/* Software disable masks every local source (SDM 11.4.7.2). */
	for (reg = LAPIC_LVTT; reg <= LAPIC_LVT_ERROR; reg += 16)
		vlapic_set_reg(a, reg, vlapic_reg(a, reg) | LAPIC_LVT_MASKED);
	vlapic_set_reg(a, LAPIC_LVT_CMCI, vlapic_reg(a, LAPIC_LVT_CMCI) | LAPIC_LVT_MASKED);
}

static void vlapic_write_lvt(struct vlapic *a, u32 reg, u32 val)
{
	/* The mask bits cannot be cleared while software keeps the APIC disabled. */
	if (!vlapic_sw_enabled(a))
		val |= LAPIC_LVT_MASKED;
	if (reg == LAPIC_LVTT)
		vlapic_timer_write_lvtt(a, val);
	else
		vlapic_set_reg(a, reg, val);
}

static void vlapic_write_tmict(struct vlapic *a, u32 val)
{
	/* In TSC-deadline mode writes of the initial count are ignored (SDM 11.5.4.1). */
	if (lapic_timer_mode(vlapic_reg(a, LAPIC_LVTT)) == LAPIC_TSC_DEADLINE)
		return;
	vlapic_set_reg(a, LAPIC_TMICT, val);
	vlapic_timer_start(a, val);
}

/**
 * vlapic_write_reg() - write a register
 * @a: the APIC
 * @reg: offset of a register that lapic_writable() allows
 * @val: the value; reserved bits are ignored
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 */
static void vlapic_write_reg(struct vlapic *a, u32 reg, u32 val)
{
	val &= lapic_write_mask(reg, vlapic_caps(a));

	switch (reg) {
	case LAPIC_EOI:
		vlapic_eoi(a);
		break;
	case LAPIC_ICR:
		vlapic_set_reg(a, reg, val);
		vlapic_send_ipi(a, val, a->mode == LAPIC_X2APIC ? vlapic_reg(a, LAPIC_ICR2) :
				vlapic_reg(a, LAPIC_ICR2) >> 24);
		break;
	case LAPIC_SELF_IPI:
		vlapic_self_ipi(a, val);
		break;
	case LAPIC_ID:
		vlapic_set_reg(a, reg, val);
		WRITE_ONCE(a->id, val >> 24);
		break;
	case LAPIC_DFR:
		vlapic_set_reg(a, reg, val | 0x0fffffff);
		break;
	case LAPIC_SVR:
		vlapic_write_svr(a, val);
		break;
	case LAPIC_ESR:
		/* A write of any value latches the errors since the last write (SDM 11.5.3). */
		vlapic_set_reg(a, reg, atomic_xchg(&a->esr, 0));
		break;
	case LAPIC_LVT_CMCI:
	case LAPIC_LVTT ... LAPIC_LVT_ERROR:
		vlapic_write_lvt(a, reg, val);
		break;
	case LAPIC_TMICT:
		vlapic_write_tmict(a, val);
		break;
	case LAPIC_TDCR:
		vlapic_timer_write_tdcr(a, val);
		break;
	default:
		vlapic_set_reg(a, reg, val);
	}
}

static void vlapic_mmio_read(struct vlapic *a, u32 offset, u32 len, void *data)
{
	u32 reg = offset & ~0xf, val;

	memset(data, 0, len);
	/* Registers have 32 bits and lie at 16-byte boundaries (SDM 11.4.1). */
	if ((offset & 0xf) + len > 4)
		return;
	if (!lapic_readable(reg, LAPIC_XAPIC, vlapic_caps(a))) {
		vlapic_error(a, LAPIC_ERR_REGISTER);
		return;
	}
	val = vlapic_read_reg(a, reg);
	memcpy(data, (u8 *)&val + (offset & 0xf), len);
}

static void vlapic_mmio_write(struct vlapic *a, u32 offset, u32 len, const void *data)
{
	u32 val;

	if (len != 4 || (offset & 0xf))
		return;
	if (likely(offset == LAPIC_EOI)) {	/* any value will do */
		vlapic_eoi(a);
		return;
	}
	if (!lapic_writable(offset, LAPIC_XAPIC, vlapic_caps(a))) {
		vlapic_error(a, LAPIC_ERR_REGISTER);
		return;
	}
	memcpy(&val, data, 4);
	vlapic_write_reg(a, offset, val);
}

/**
 * vlapic_mmio() - handle an access to the page that IA32_APIC_BASE names
 * @vcpu: the vCPU
 * @gpa: the address
 * @len: 1 to 8 bytes
 * @data: the data written, or filled with the data read
 * @write: the direction
 *
 * If the registers are not in memory the page is a hole: it reads as all ones,
 * unless user space disabled that quirk and handles the access itself.
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: true if the access was handled.
 */
bool vlapic_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write)
{
	struct vlapic *a = vcpu->lapic;
	u32 offset = gpa & 0xfff;

	if (!a || ((gpa ^ vcpu->apic_base) & ~0xfffull))
		return false;
	if (a->mode != LAPIC_XAPIC) {
		if (READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_LAPIC_MMIO_HOLE)
			return false;
		if (!write)
			memset(data, 0xff, len);
		return true;
	}
	if (write)
		vlapic_mmio_write(a, offset, len, data);
	else
		vlapic_mmio_read(a, offset, len, data);
	return true;
}

/**
 * vlapic_msr_read() - RDMSR of an x2APIC register
 * @vcpu: the vCPU
 * @msr: 0x800 to 0x8ff
 * @data: filled with the value
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for #GP (SDM 11.12.1.3).
 */
int vlapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *data)
{
	struct vlapic *a = vcpu->lapic;
	u32 reg = (msr - X2APIC_MSR_FIRST) * 16;

	if (!a || a->mode != LAPIC_X2APIC || !lapic_readable(reg, LAPIC_X2APIC, vlapic_caps(a)))
		return -EINVAL;
	*data = vlapic_read_reg(a, reg);
	if (reg == LAPIC_ICR)
		*data |= (u64)vlapic_reg(a, LAPIC_ICR2) << 32;
	return 0;
}

/**
 * vlapic_msr_write() - WRMSR of an x2APIC register
 * @vcpu: the vCPU
 * @msr: 0x800 to 0x8ff
 * @data: the value
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: 0, or -EINVAL for #GP (SDM 11.12.1.3).
 */
int vlapic_msr_write(struct vcpu *vcpu, u32 msr, u64 data)
{
	struct vlapic *a = vcpu->lapic;
	u32 reg = (msr - X2APIC_MSR_FIRST) * 16;

	if (!a || a->mode != LAPIC_X2APIC)
		return -EINVAL;
	if (lapic_x2apic_check_write(reg, data, vlapic_caps(a)))
		return -EINVAL;
	if (reg == LAPIC_ICR)
		vlapic_set_reg(a, LAPIC_ICR2, data >> 32);
	vlapic_write_reg(a, reg, data);
	return 0;
}
