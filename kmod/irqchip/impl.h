/* SPDX-License-Identifier: GPL-2.0 */
/* Internal interfaces of the interrupt controllers, shared by the files of irqchip/ only. */
#ifndef DROSTE_IRQCHIP_IMPL_H
#define DROSTE_IRQCHIP_IMPL_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include "cpu/types.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/* The sources of an interrupt line. The line is up while any of them asserts it. */
enum irq_source {
	IRQ_SOURCE_USER,	/* KVM_IRQ_LINE and plain irqfds */
	IRQ_SOURCE_RESAMPLE,	/* irqfds with a resample eventfd */
	IRQ_SOURCE_PIT,
};

/*
 * A vCPU's local APIC.
 *
 * The owner is the thread that holds vcpu->mutex. Other threads and hard
 * interrupts set bits in IRR, TMR, @esr and @init_events with atomic
 * operations, and read the members that a destination match needs. They take
 * no lock, so an interrupt can be sent from any context.
 */
struct vlapic {
	u8 *regs;		/* a page laid out as the APIC's registers */
	struct vcpu *vcpu;
	bool irr_pending;	/* IRR may have a bit set; set after the bit, cleared before a rescan */
	int isr_top;		/* highest vector in ISR, -1 if none; owner writes, others may read a stale value */
	enum lapic_mode mode;	/* owner writes, all read */
	u32 id;			/* APIC ID unshifted; owner writes, all read */
	atomic_t init_events;	/* VLAPIC_INIT, VLAPIC_SIPI */
	u8 sipi_vector;		/* valid with VLAPIC_SIPI */
	atomic_t esr;		/* errors not yet latched into ESR (SDM 11.5.3) */
	u32 arb;		/* lowest-priority interrupts taken; only breaks ties, so races are harmless */

	/* --- timer: owner only; the hrtimer callback accesses none of these members --- */
	struct hrtimer timer;	/* CLOCK_MONOTONIC; hard interrupt context */
	bool armed;		/* a tick is due at @target */
	u64 target;		/* in ns of CLOCK_MONOTONIC */
	u64 period;		/* in ns, 0 if not periodic */
	u64 tsc_deadline;	/* IA32_TSC_DEADLINE; 0 if disarmed */
};

static inline u32 vlapic_reg(const struct vlapic *a, u32 reg)
{
	return READ_ONCE(*(u32 *)(a->regs + reg));
}

static inline void vlapic_set_reg(struct vlapic *a, u32 reg, u32 val)
{
	WRITE_ONCE(*(u32 *)(a->regs + reg), val);
}

/* The APIC features in this vCPU's CPUID. Suppressing EOI broadcasts came with x2APIC (SDM 11.8.5). */
static inline struct lapic_caps vlapic_caps(const struct vlapic *a)
{
	return (struct lapic_caps) {
		.tsc_deadline = a->vcpu->gcaps.tsc_deadline,
		.directed_eoi = a->vcpu->gcaps.x2apic,
		.cmci = msr_has_cmci(a->vcpu->misc),
	};
}

/* The word of IRR, ISR or TMR with @vec's bit: 32 vectors every 16 bytes (SDM table 11-1). */
static inline unsigned long *vlapic_vec_word(struct vlapic *a, u32 field, u8 vec)
{
	return (unsigned long *)(a->regs + field + (vec / 32) * 16);
}

static inline bool vlapic_sw_enabled(const struct vlapic *a)
{
	return vlapic_reg(a, LAPIC_SVR) & LAPIC_SVR_ENABLED;
}

/* The number of vCPUs. vm->vcpus[] is valid up to it. */
static inline int irqchip_nr_vcpus(const struct vm *vm)
{
	return smp_load_acquire(&vm->nr_vcpus);	/* pairs with the release at vCPU creation */
}

/* Iterates over the vCPUs of a VM. Any context. */
#define irqchip_for_each_vcpu(i, v, vm) \
	for ((i) = 0; (i) < irqchip_nr_vcpus(vm) && ((v) = (vm)->vcpus[i], true); (i)++)

/* Are there in-kernel controllers, or at least local APICs? If so, they are fully initialized. */
static inline bool irqchip_ready(const struct vm *vm)
{
	return smp_load_acquire(&vm->irqchip.created);	/* pairs with irqchip_create() */
}

/* Are the PIC and the I/O APIC in the kernel, too? */
static inline bool irqchip_whole(const struct vm *vm)
{
	return irqchip_ready(vm) && vm->irqchip.pic;
}

/* The PIT, fully initialized, NULL if there is none. */
static inline struct vpit *irqchip_pit(const struct vm *vm)
{
	return smp_load_acquire(&vm->irqchip.pit);	/* pairs with vpit_create() */
}

/* --- vlapic.c --- */
int vlapic_accept_msg(struct vcpu *vcpu, const struct irq_msg *msg);
void vlapic_error(struct vlapic *a, u32 bits);
int vlapic_local_interrupt(struct vlapic *a, u32 lvt);
void vlapic_eoi(struct vlapic *a);
bool vlapic_eoi_short(struct vlapic *a);

/* --- split.c --- */
void split_eoi(struct vcpu *vcpu, u8 vector);

/* --- vlapic_timer.c --- */
void vlapic_timer_init(struct vlapic *a);
void vlapic_timer_stop(struct vlapic *a);
void vlapic_timer_start(struct vlapic *a, u32 count);
u32 vlapic_timer_read(struct vlapic *a);
void vlapic_timer_write_lvtt(struct vlapic *a, u32 val);
void vlapic_timer_write_tdcr(struct vlapic *a, u32 val);

/* --- vlapic_regs.c --- */
u32 vlapic_read_reg(struct vlapic *a, u32 reg);

/* --- vlapic_state.c --- */
int vlapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state);
int vlapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state);

/* --- deliver.c --- */
int irq_deliver(struct vm *vm, struct vcpu *sender, const struct irq_msg *msg);

/* --- vpic.c --- */
int vpic_create(struct vm *vm);
void vpic_destroy(struct vm *vm);
int vpic_set_line(struct vm *vm, unsigned int pin, int source, int level);
int vpic_pending(const struct vpic *pic);
int vpic_inta(struct vm *vm);
void vpic_get(struct vm *vm, unsigned int chip, struct kvm_pic_state *state);
void vpic_set(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state);

/* --- vioapic.c --- */
int vioapic_create(struct vm *vm);
void vioapic_destroy(struct vm *vm);
int vioapic_set_line(struct vm *vm, unsigned int pin, int source, int level);
bool vioapic_has_vector(const struct vioapic *ioapic, u8 vector);
void vioapic_eoi(struct vm *vm, u8 vector, bool level);
void vioapic_get(struct vm *vm, struct kvm_ioapic_state *state);
void vioapic_set(struct vm *vm, const struct kvm_ioapic_state *state);

/* --- vpit.c --- */
int vpit_create(struct vm *vm, u32 flags);
void vpit_destroy(struct vm *vm);
void vpit_acked(struct vm *vm);
void vpit_unmasked(struct vm *vm);
void vpit_get(struct vm *vm, struct kvm_pit_state2 *state);
void vpit_set(struct vm *vm, const struct kvm_pit_state2 *state, bool has_flags);
void vpit_set_reinject(struct vm *vm, bool reinject);

/* --- irqchip.c --- */
int irq_msg_of_user(struct vm *vm, struct irq_msg *msg, u32 lo, u32 hi, u32 data);

/* --- route.c --- */
int irq_routing_default(struct vm *vm);
void irq_routing_destroy(struct vm *vm);
long irq_routing_ioctl(struct vm *vm, void __user *arg);
void irqchip_acked(struct vm *vm, u32 chip, u32 pin);
void irqchip_resample(struct vm *vm, u32 chip, u32 pin);
void irqchip_unmasked(struct vm *vm, u32 chip, u32 pin);
bool irq_routing_split_level(struct vm *vm, u8 vector);

/* --- irqfd.c --- */
long irqfd_ioctl(struct vm *vm, void __user *arg);
void irqfd_release(struct vm *vm);
void irqfd_acked(struct vm *vm, u32 gsi);

#endif
