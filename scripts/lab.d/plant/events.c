// SPDX-License-Identifier: GPL-2.0
/* Events that are pending at an entry, and inactive guests that they end or do not end. Sections are of SDM 3C. */
#include <linux/bitops.h>
#include <linux/delay.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#include <asm/processor-flags.h>
#include "plant.h"

enum { ACTIVE, HLT, SHUTDOWN };
#define NMI_BLOCKED	8
#define PENDING_B0	(BIT(12) | BIT(0))
#define VIRTUAL_VECTOR	0x41

static unsigned int nmis;
static bool registered;

static int count_nmi(unsigned int type, struct pt_regs *regs)
{
	nmis++;
	return NMI_HANDLED;
}

int events_create(void)
{
	int error = register_nmi_handler(NMI_LOCAL, count_nmi, 0, "plant");

	registered = !error;
	return error;
}

void events_destroy(void)
{
	if (registered)
		unregister_nmi_handler(NMI_LOCAL, "plant");
}

/* Sends an event to this CPU, which is the first. */
static void send_to_self(u32 event)
{
	apic->icr_write(event | APIC_DEST_PHYSICAL, 0);
}

/* --- 27.8 --- */

static void msr_load_fails(void)
{
	((u32 *)scratch)[0] = MSR_FS_BASE;
	vm_write(VM_ENTRY_MSR_LOAD_ADDR, physical(scratch));
	vm_write(VM_ENTRY_MSR_LOAD_COUNT, 1);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, NMI_BLOCKED);
}

static const char *nmi_comes(void)
{
	unsigned int before = READ_ONCE(nmis);

	send_to_self(APIC_DM_NMI);
	udelay(20);
	return READ_ONCE(nmis) == before ? "the host's NMIs are blocked" : NULL;
}

/* --- 27.7.2, 27.7.3: inactive states --- */

static void shutdown(void)
{
	vm_write(GUEST_ACTIVITY_STATE, SHUTDOWN);
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
	vm_timer();
}

static const char *still_enabled(void)
{
	if (vm_read(GUEST_ACTIVITY_STATE) != SHUTDOWN)
		return "the activity state is not shutdown";
	return vm_read(GUEST_RFLAGS) & X86_EFLAGS_IF ? NULL : "RFLAGS.IF is clear";
}

static void shutdown_with_breakpoint(void)
{
	shutdown();
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, PENDING_B0);
}

static const char *none_pending(void)
{
	return vm_read(GUEST_PENDING_DBG_EXCEPTIONS) ? "a debug exception is pending" : NULL;
}

/* An interrupt that ends an active guest, whatever its RFLAGS.IF. */
static void interrupt_waits(void)
{
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_EXT_INTR_MASK);
	vm_block_interrupts(false);
	send_to_self(APIC_DM_FIXED | RESCHEDULE_VECTOR);
}

static void shutdown_with_interrupt(void)
{
	shutdown();
	interrupt_waits();
}

static void hlt_with_interrupt(void)
{
	vm_timer();
	vm_write(GUEST_ACTIVITY_STATE, HLT);
	interrupt_waits();
}

static const char *still_halted(void)
{
	return vm_read(GUEST_ACTIVITY_STATE) != HLT ? "the activity state is not HLT" : NULL;
}

static void hlt_with_virtual_interrupt(void)
{
	vm_handler(code_vmcall);
	vm_timer();
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_EXT_INTR_MASK);
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_TPR_SHADOW);
	vm_secondary(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	vm_write(TPR_THRESHOLD, 0);
	vm_write(VIRTUAL_APIC_PAGE_ADDR, physical(scratch));
	*(u32 *)(scratch + APIC_IRR + VIRTUAL_VECTOR / 32 * 16) = BIT(VIRTUAL_VECTOR % 32);
	vm_write(GUEST_INTR_STATUS, VIRTUAL_VECTOR);
	vm_write(GUEST_ACTIVITY_STATE, HLT);
	vm_set(GUEST_RFLAGS, X86_EFLAGS_IF);
}

#define TIMER		{ EXITED, EXIT_REASON_PREEMPTION_TIMER }

const struct fault events_faults[] = {
	{ "blocking by NMI after a failed MSR load", msr_load_fails,
	  { ENTRY_FAILED, EXIT_REASON_MSR_LOAD_FAIL, 1 }, "failed-entry-nmi", nmi_comes },
	{ "RFLAGS.IF after an entry into shutdown", shutdown, TIMER, "inactive-entry", still_enabled },
	{ "a pending breakpoint in shutdown", shutdown_with_breakpoint, TIMER, "inactive-debug", none_pending },
	{ "an external interrupt in shutdown", shutdown_with_interrupt, TIMER },
	{ "HLT with IF clear and an external interrupt", hlt_with_interrupt,
	  { EXITED, EXIT_REASON_EXTERNAL_INTERRUPT }, "hlt-ends,exit-activity", still_halted },
	{ "HLT with a virtual interrupt", hlt_with_virtual_interrupt, { EXITED, EXIT_REASON_VMCALL }, "hlt-ends" },
	{}
};
