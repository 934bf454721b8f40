/* SPDX-License-Identifier: GPL-2.0 */
/* What the interrupt controllers' own files share with each other and with nobody else. */
#ifndef DROSTE_IRQCHIP_IMPL_H
#define DROSTE_IRQCHIP_IMPL_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include "cpu/types.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/* Who holds an interrupt line up: a line is the OR of its sources. */
enum irq_source {
	IRQ_SOURCE_USER,	/* KVM_IRQ_LINE and plain irqfds */
	IRQ_SOURCE_RESAMPLE,	/* irqfds with a resample eventfd */
	IRQ_SOURCE_PIT,
};

/**
 * struct vlapic - one vCPU's local APIC
 *
 * The owner is the vCPU's thread (or, for GET/SET_LAPIC, the holder of
 * vcpu->mutex). Other threads and hard interrupts set bits in IRR and TMR
 * (atomically), @esr and @init_events, and read what a destination match
 * needs; all of that is lock-free, so an interrupt can be sent from anywhere.
 */
struct vlapic {
	u8 *regs;		/* a page in APIC register layout */
	struct vcpu *vcpu;
	bool irr_pending;	/* IRR may have a bit set; set after the bit, cleared before a rescan */
	int isr_top;		/* highest vector in ISR, -1: none; owner only, others may read a stale one */
	enum lapic_mode mode;	/* owner writes, all read */
	u32 id;			/* APIC ID unshifted; likewise */
	atomic_t init_events;	/* VLAPIC_INIT, VLAPIC_SIPI */
	u8 sipi_vector;		/* valid with VLAPIC_SIPI */
	atomic_t esr;		/* errors not yet latched into ESR (SDM 11.5.3) */
	u32 arb;		/* lowest-priority interrupts taken; breaks ties, so a race is harmless */

	/* --- timer: owner only; the hrtimer's callback touches none of it --- */
	struct hrtimer timer;	/* CLOCK_MONOTONIC; hard interrupt context */
	bool armed;		/* a tick is to come */
	u64 target;		/* when, in ns of CLOCK_MONOTONIC */
	u64 period;		/* ns of a whole count, 0 when not periodic */
	u64 tsc_deadline;	/* IA32_TSC_DEADLINE; 0 when disarmed */
};

static inline u32 vlapic_reg(const struct vlapic *a, u32 reg)
{
	return READ_ONCE(*(u32 *)(a->regs + reg));
}

static inline void vlapic_set_reg(struct vlapic *a, u32 reg, u32 val)
{
	WRITE_ONCE(*(u32 *)(a->regs + reg), val);
}

/* What CPUID gives this vCPU's APIC. Suppressing EOI broadcasts came with x2APIC (SDM 11.8.5). */
static inline struct lapic_caps vlapic_caps(const struct vlapic *a)
{
	return (struct lapic_caps) {
		.tsc_deadline = a->vcpu->gcaps.tsc_deadline,
		.directed_eoi = a->vcpu->gcaps.x2apic,
		.cmci = msr_has_cmci(a->vcpu->misc),
	};
}

/* The bit of @vec in IRR, ISR or TMR: 32 vectors every 16 bytes (SDM table 11-1). */
static inline unsigned long *vlapic_vec_word(struct vlapic *a, u32 field, u8 vec)
{
	return (unsigned long *)(a->regs + field + (vec / 32) * 16);
}

static inline bool vlapic_sw_enabled(const struct vlapic *a)
{
	return vlapic_reg(a, LAPIC_SVR) & LAPIC_SVR_ENABLED;
}

/* How many vCPUs there are: each one's slot was set before it was counted. */
static inline int irqchip_nr_vcpus(const struct vm *vm)
{
	return smp_load_acquire(&vm->nr_vcpus);	/* pairs with the release that counts one more */
}

/* All vCPUs that exist, from any context. */
#define irqchip_for_each_vcpu(i, v, vm) \
	for ((i) = 0; (i) < irqchip_nr_vcpus(vm) && ((v) = (vm)->vcpus[i], true); (i)++)

/* Are there in-kernel controllers, all or the local APICs alone? Then all that there is can be seen. */
static inline bool irqchip_ready(const struct vm *vm)
{
	return smp_load_acquire(&vm->irqchip.created);	/* pairs with irqchip_create() */
}

/* Are PIC and I/O APIC in the kernel, too? */
static inline bool irqchip_whole(const struct vm *vm)
{
	return irqchip_ready(vm) && vm->irqchip.pic;
}

/* The PIT, whole when it can be seen, or NULL. */
static inline struct vpit *irqchip_pit(const struct vm *vm)
{
	return smp_load_acquire(&vm->irqchip.pit);	/* pairs with vpit_create() */
}

/* --- vlapic.c --- */
int vlapic_accept_msg(struct vcpu *vcpu, const struct irq_msg *msg);	/* any context; 1 accepted, 0 not */
void vlapic_error(struct vlapic *a, u32 bits);			/* any context */
int vlapic_local_interrupt(struct vlapic *a, u32 lvt);		/* any context */
void vlapic_eoi(struct vlapic *a);				/* owner, srcu held */

/* --- split.c --- */
void split_eoi(struct vcpu *vcpu, u8 vector);			/* owner, srcu held */

/* --- vlapic_timer.c: owner --- */
void vlapic_timer_init(struct vlapic *a);
void vlapic_timer_stop(struct vlapic *a);
void vlapic_timer_start(struct vlapic *a, u32 count);	/* count down from here; 0 stops */
u32 vlapic_timer_read(struct vlapic *a);		/* TMCCT */
void vlapic_timer_write_lvtt(struct vlapic *a, u32 val);
void vlapic_timer_write_tdcr(struct vlapic *a, u32 val);

/* --- vlapic_regs.c: owner, srcu held --- */
u32 vlapic_read_reg(struct vlapic *a, u32 reg);
void vlapic_write_reg(struct vlapic *a, u32 reg, u32 val);
bool vlapic_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write);

/* --- vlapic_state.c: vcpu->mutex held --- */
int vlapic_get_state(struct vcpu *vcpu, struct kvm_lapic_state *state);
int vlapic_set_state(struct vcpu *vcpu, const struct kvm_lapic_state *state);

/* --- deliver.c: any context --- */
/* Processors reached, -1: none addressed. */
int irq_deliver(struct vm *vm, struct vcpu *sender, const struct irq_msg *msg);

/* --- vpic.c --- */
int vpic_create(struct vm *vm);
void vpic_destroy(struct vm *vm);
int vpic_set_line(struct vm *vm, unsigned int pin, int source, int level);	/* any context */
bool vpic_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write);	/* thread, srcu held */
int vpic_pending(const struct vpic *pic);	/* the vector it asks for, or -1; lock-free */
int vpic_inta(struct vm *vm);			/* thread, srcu held */
void vpic_get(struct vm *vm, unsigned int chip, struct kvm_pic_state *state);
void vpic_set(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state);

/* --- vioapic.c --- */
int vioapic_create(struct vm *vm);
void vioapic_destroy(struct vm *vm);
int vioapic_set_line(struct vm *vm, unsigned int pin, int source, int level);	/* any context */
bool vioapic_mmio(struct vm *vm, gpa_t gpa, u32 len, void *data, bool write);	/* thread, srcu held */
bool vioapic_has_vector(const struct vioapic *ioapic, u8 vector);	/* lock-free */
void vioapic_eoi(struct vm *vm, u8 vector, bool level);	/* thread, srcu held */
void vioapic_get(struct vm *vm, struct kvm_ioapic_state *state);
void vioapic_set(struct vm *vm, const struct kvm_ioapic_state *state);

/* --- vpit.c --- */
int vpit_create(struct vm *vm, u32 flags);	/* vm->lock held */
void vpit_destroy(struct vm *vm);
bool vpit_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write);
void vpit_acked(struct vm *vm);			/* the guest acknowledged IRQ 0; thread */
void vpit_get(struct vm *vm, struct kvm_pit_state2 *state);
void vpit_set(struct vm *vm, const struct kvm_pit_state2 *state, bool has_flags);
void vpit_set_reinject(struct vm *vm, bool reinject);

/* --- irqchip.c --- */
int irq_msg_of_user(struct vm *vm, struct irq_msg *msg, u32 lo, u32 hi, u32 data);	/* 0 or -EINVAL */

/* --- route.c --- */
int irq_routing_default(struct vm *vm);		/* vm->lock held */
void irq_routing_destroy(struct vm *vm);
long irq_routing_ioctl(struct vm *vm, void __user *arg);	/* KVM_SET_GSI_ROUTING */
void irqchip_acked(struct vm *vm, u32 chip, u32 pin);	/* the guest acknowledged a pin: thread */
bool irq_routing_split_level(struct vm *vm, u8 vector);	/* a pin of user space's I/O APIC sends it, level-triggered; srcu held */

/* --- irqfd.c --- */
long irqfd_ioctl(struct vm *vm, void __user *arg);
void irqfd_release(struct vm *vm);
void irqfd_acked(struct vm *vm, u32 gsi);	/* thread, srcu held */

#endif
