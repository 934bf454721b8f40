/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupt controllers and timers of the PC: local APIC, I/O APIC, PIC, PIT, routing, irqfd. */
#ifndef DROSTE_IRQCHIP_H
#define DROSTE_IRQCHIP_H

#include "cpu/msr_row.h"
#include "irqchip/types.h"
#include "mem/types.h"

struct vm;
struct vcpu;

#define DROSTE_NR_GSIS	1024	/* routable GSIs; the first 24 are the I/O APIC's pins */

/* --- irqchip.c: the interrupt controllers of a VM as a whole --- */
void irqchip_init(struct vm *vm);
int irqchip_create(struct vm *vm);
void irqchip_destroy(struct vm *vm);
void irqchip_release(struct vm *vm);
bool vlapic_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write);
bool vioapic_mmio(struct vm *vm, gpa_t gpa, u32 len, void *data, bool write);
bool vioapic_is_at(const struct vm *vm, gpa_t gpa);
bool vpic_out(struct vm *vm, u16 port, u8 val);
bool vpic_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write);
bool vpit_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write);
u64 vcpu_cr8(struct vcpu *vcpu);
int vcpu_set_cr8(struct vcpu *vcpu, u64 cr8);

/**
 * irqchip_mmio() - do an MMIO access if it is to the local APIC or the I/O APIC
 * @vcpu: the vCPU that makes the access
 * @gpa: guest-physical address
 * @len: 1 to 8 bytes that do not cross a page
 * @data: the bytes to write, or the buffer for those read
 * @write: true for a write
 *
 * Context: Process context, thread of @vcpu. Caller holds vm->srcu (read).
 * Return: true if it was; false if another device, or user space, must do it.
 */
static inline bool irqchip_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write)
{
	/* Most accesses are to devices in user space. */
	if (!((gpa ^ vcpu->apic_base) & PAGE_MASK) && vlapic_mmio(vcpu, gpa, len, data, write))
		return true;
	return vcpu->vm->irqchip.ioapic && vioapic_mmio(vcpu->vm, gpa, len, data, write);
}

/**
 * irqchip_pio() - do a port access if it is to the PICs or the PIT
 * @vcpu: the vCPU that makes the access
 * @port: the port
 * @len: 1, 2 or 4 bytes
 * @data: the bytes to write, or the buffer for those read
 * @write: true for OUT
 *
 * Context: Process context, thread of @vcpu. Caller holds vm->srcu (read).
 * Return: true if it was; false if another device, or user space, must do it.
 */
static __always_inline bool irqchip_pio(struct vcpu *vcpu, u16 port, u32 len, void *data, bool write)
{
	switch (port) {
	case 0x20 ... 0x21:	/* the PICs */
	case 0xa0 ... 0xa1:
		if (write && len == 1)
			return vpic_out(vcpu->vm, port, *(const u8 *)data);
		fallthrough;
	case 0x4d0 ... 0x4d1:
		return vpic_pio(vcpu->vm, port, len, data, write);
	case 0x40 ... 0x43:	/* the PIT */
	case 0x61:
		return vpit_pio(vcpu->vm, port, len, data, write);
	default:
		return false;
	}
}

/* Whether a write of a byte to the port is to a command or mask register of the PICs, which vpic_out() carries out. */
static inline bool irqchip_is_pic_port(u16 port)
{
	return (port & ~0x81) == 0x20;
}

/**
 * irqchip_has_port() - whether irqchip_pio() may do an access to a port, in some VM
 * @port: the port
 *
 * Context: Any.
 * Return: true if it may.
 */
static inline bool irqchip_has_port(u16 port)
{
	switch (port) {
	case 0x20 ... 0x21:
	case 0xa0 ... 0xa1:
	case 0x4d0 ... 0x4d1:
	case 0x40 ... 0x43:
	case 0x61:
		return true;
	default:
		return false;
	}
}

/* --- split.c: PIC and I/O APIC in user space --- */
int irqchip_create_split(struct vm *vm, u64 pins);
bool irqchip_takes_extint(struct vcpu *vcpu);

/* --- ioctl.c --- */
long irqchip_vm_ioctl(struct vm *vm, unsigned int cmd, unsigned long arg);
long irqchip_vcpu_ioctl(struct vcpu *vcpu, unsigned int cmd, unsigned long arg);

/* --- route.c: any context --- */
int irqchip_set_irq(struct vm *vm, int source, u32 gsi, int level);	/* @source: enum irq_source of impl.h */

/* --- deliver.c: any context --- */
int irqchip_send_ipis(struct vcpu *sender, u64 low, u64 high, u32 min, unsigned int bits, u32 icr);
void irqchip_end_halt(struct vm *vm, u32 apic_id);

/* --- vlapic.c: interrupts into the local APIC, from any thread or hard interrupt; kicks the vCPU --- */
int vlapic_accept(struct vcpu *vcpu, u32 delivery_mode, u8 vector, bool level_triggered);
void vlapic_inject_cmci(struct vcpu *vcpu);
bool vlapic_accepts_pic(struct vcpu *vcpu);

/* --- vlapic.c: interrupts out of the controllers into the vCPU; called by its thread --- */
int irqchip_pending_vector(struct vcpu *vcpu);
int irqchip_ack(struct vcpu *vcpu);
int irqchip_ack_local(struct vcpu *vcpu, int except);
void irqchip_eoi(struct vcpu *vcpu);
bool irqchip_eoi_short(struct vcpu *vcpu);
bool irqchip_eoi_is_private(struct vcpu *vcpu);
u8 vlapic_get_cr8(struct vcpu *vcpu);
void vlapic_set_cr8(struct vcpu *vcpu, u8 cr8);

/* INIT and SIPI that have arrived. Other vCPUs set the bits, the thread of the vCPU takes them. */
#define VLAPIC_INIT	BIT(0)
#define VLAPIC_SIPI	BIT(1)
u32 vlapic_pending_init(struct vcpu *vcpu);
void vlapic_clear_init(struct vcpu *vcpu, u32 bits);
bool vlapic_end_sipi(struct vcpu *vcpu, u32 pending);
void vlapic_latch_init(struct vcpu *vcpu, bool init);
u8 vlapic_sipi_vector(struct vcpu *vcpu);
void vlapic_set_sipi_vector(struct vcpu *vcpu, u8 vector);
void vlapic_receive_sipi(struct vcpu *vcpu);

/* --- vlapic_state.c, vlapic_regs.c, vlapic_timer.c: called by the thread of the vCPU --- */
int vlapic_create(struct vcpu *vcpu);
void vlapic_destroy(struct vcpu *vcpu);
void vlapic_reset(struct vcpu *vcpu, bool init);
int vlapic_set_base(struct vcpu *vcpu, u64 base);
int vlapic_restore_base(struct vcpu *vcpu, u64 base);
int vlapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *data);
int vlapic_msr_write(struct vcpu *vcpu, u32 msr, u64 data);
u64 vlapic_get_tsc_deadline(struct vcpu *vcpu);
void vlapic_set_tsc_deadline(struct vcpu *vcpu, u64 deadline);
void vlapic_timer_request(struct vcpu *vcpu);
int vlapic_timer_ack(struct vcpu *vcpu, int except);
void vlapic_timer_migrate(struct vcpu *vcpu);
void vlapic_timer_wait(struct vcpu *vcpu);

/* --- msr.c --- */
bool vlapic_quick_wrmsr(struct vcpu *vcpu, u32 msr, u64 data);
bool vlapic_short_wrmsr(struct vcpu *vcpu, u32 msr, u64 data);
int vlapic_change_base(struct vcpu *vcpu, u64 base, bool host_initiated);
MSR_GET(msr_get_apic_base);
MSR_SET(msr_set_apic_base);
MSR_GET(msr_get_x2apic);
MSR_SET(msr_set_x2apic);
MSR_GET(msr_get_tsc_deadline);
MSR_SET(msr_set_tsc_deadline);

#endif
