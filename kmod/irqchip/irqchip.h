/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupt controllers and timers of the PC: local APIC, I/O APIC, PIC, PIT, routing, irqfd, ioeventfd. */
#ifndef DROSTE_IRQCHIP_H
#define DROSTE_IRQCHIP_H

#include "cpu/msr_row.h"
#include "irqchip/types.h"
#include "mem/types.h"

struct vm;
struct vcpu;

#define DROSTE_NR_GSIS	1024	/* routable GSIs; the first 24 are the I/O APIC's pins */

/* --- irqchip.c: all of them --- */
void irqchip_init(struct vm *vm);		/* an empty one, at VM creation */
int irqchip_create(struct vm *vm);		/* KVM_CREATE_IRQCHIP; vm->lock held, no vCPUs yet: EEXIST, EINVAL */
int irqchip_create_split(struct vm *vm, u64 pins);	/* KVM_CAP_SPLIT_IRQCHIP; vm->lock held: EEXIST, EINVAL */
void irqchip_destroy(struct vm *vm);		/* last reference gone; also the PIT, irqfds, ioeventfds */
void irqchip_release(struct vm *vm);		/* the VM's file is being closed: deassign irqfds, ioeventfds */
/*
 * VM ioctls of this directory (KVM_IRQ_LINE, _IRQ_LINE_STATUS, GET/SET_IRQCHIP,
 * GET/SET_PIT, GET/SET_PIT2, CREATE_PIT, CREATE_PIT2, SET_GSI_ROUTING,
 * SIGNAL_MSI, IRQFD, IOEVENTFD, REINJECT_CONTROL). -ENOTTY: not one of ours.
 * Process context, vm->lock not held.
 */
long irqchip_vm_ioctl(struct vm *vm, unsigned int cmd, unsigned long arg);
/* vCPU ioctls (GET/SET_LAPIC). vcpu->mutex held, vCPU loaded. -ENOTTY: not ours. */
long irqchip_vcpu_ioctl(struct vcpu *vcpu, unsigned int cmd, unsigned long arg);
/* Any context that may take raw spinlocks; takes srcu itself. @source: enum irq_source of impl.h. */
int irqchip_set_irq(struct vm *vm, int source, u32 gsi, int level);

/* In-kernel devices on the buses. vCPU thread, srcu held. true: handled (data filled for reads). */
bool irqchip_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write);
bool irqchip_pio(struct vcpu *vcpu, u16 port, u32 len, void *data, bool write);

/* --- vlapic: local APIC. Owner's thread unless said otherwise. --- */
int vlapic_create(struct vcpu *vcpu);
void vlapic_destroy(struct vcpu *vcpu);
void vlapic_reset(struct vcpu *vcpu, bool init);	/* SDM 3A 11.4.7: power-up, or INIT */
/* IA32_APIC_BASE: 0, or -EINVAL for #GP (mode transitions of 11.12.5) */
int vlapic_set_base(struct vcpu *vcpu, u64 base);
/* The same from user space: any valid mode may follow any other */
int vlapic_restore_base(struct vcpu *vcpu, u64 base);
int vlapic_msr_read(struct vcpu *vcpu, u32 msr, u64 *data);	/* x2APIC MSRs 0x800-0x8ff: 0 or -EINVAL (#GP) */
int vlapic_msr_write(struct vcpu *vcpu, u32 msr, u64 data);
u64 vlapic_get_tsc_deadline(struct vcpu *vcpu);		/* IA32_TSC_DEADLINE */
void vlapic_set_tsc_deadline(struct vcpu *vcpu, u64 deadline);
u8 vlapic_get_cr8(struct vcpu *vcpu);
void vlapic_set_cr8(struct vcpu *vcpu, u8 cr8);
void vlapic_timer_request(struct vcpu *vcpu);		/* REQ_TIMER: deliver what expired */
void vlapic_timer_migrate(struct vcpu *vcpu);		/* the vCPU moved to another CPU, or tsc_offset changed */
bool vlapic_accepts_pic(struct vcpu *vcpu);		/* ExtINT can come in through LVT0 or virtual wire */
/* INIT and SIPI that arrived (set by other vCPUs, atomically): */
#define VLAPIC_INIT	BIT(0)
#define VLAPIC_SIPI	BIT(1)
u32 vlapic_pending_init(struct vcpu *vcpu);		/* peek, VLAPIC_* bits */
void vlapic_clear_init(struct vcpu *vcpu, u32 bits);
u8 vlapic_sipi_vector(struct vcpu *vcpu);
/* Called by other code to hand an interrupt to this vCPU's APIC: any thread or hardirq context; kicks it. */
/* @delivery_mode as in ICR bits 10:8, in place: APIC_DM_*. 1 when accepted, else 0. */
int vlapic_accept(struct vcpu *vcpu, u32 delivery_mode, u8 vector, bool level_triggered);
void vlapic_inject_cmci(struct vcpu *vcpu);

/* Can user space's PIC, if it has one, hand this vCPU an interrupt? Owner. */
bool irqchip_takes_extint(struct vcpu *vcpu);
/* The interrupt a vCPU would take now: vector, or -1. Local APIC above PPR, else the PIC. Lock-free and cheap. */
int irqchip_pending_vector(struct vcpu *vcpu);
/* Acknowledge it: IRR to ISR, or the PIC's INTA. Returns the vector, or -1 when it is gone. */
int irqchip_ack(struct vcpu *vcpu);
/* End of interrupt, as the guest's write to its local APIC would be; srcu held. Nothing without one. */
void irqchip_eoi(struct vcpu *vcpu);


/* --- CR8 --- */
u64 vcpu_cr8(struct vcpu *vcpu);
int vcpu_set_cr8(struct vcpu *vcpu, u64 cr8);

/* --- msr.c --- */
int vlapic_change_base(struct vcpu *vcpu, u64 base, bool host_initiated);
MSR_GET(msr_get_apic_base);
MSR_SET(msr_set_apic_base);
MSR_GET(msr_get_x2apic);
MSR_SET(msr_set_x2apic);
MSR_GET(msr_get_tsc_deadline);
MSR_SET(msr_set_tsc_deadline);

#endif
