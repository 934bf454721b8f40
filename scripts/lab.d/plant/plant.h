/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small hypervisor that commits faults on purpose, so that a test can see that the emulated processor, or the strict
 * machine, notices each of them. Its guest runs on the host's own tables and segments.
 */
#ifndef PLANT_H
#define PLANT_H

#include <linux/kernel.h>
#include <linux/types.h>
#include <asm/vmx.h>

/* How an entry ended. */
enum outcome {
	EXITED,			/* the guest ran and left; number is the exit reason */
	ENTRY_FAILED,		/* the same with bit 31 set: the guest's state was refused */
	FAIL_VALID,		/* number is the VM-instruction error */
	FAIL_INVALID,		/* there was no current VMCS */
};

struct result {
	enum outcome outcome;
	u32 number;
	u64 qualification;
};

/*
 * One fault. plant() changes the well-behaved guest that vm_reset() made; check() looks closer, and returns NULL if all is well.
 * While a rule is off (--lenient), the fault must not be noticed; several rules have commas between.
 */
struct fault {
	const char *name;
	void (*plant)(void);
	struct result want;
	const char *rule;
	const char *(*check)(void);
};

/* The guest's programs, in vm.c. Each ends with VMCALL. */
extern char code_vmcall[], code_load[], code_store[], code_nop[], code_invlpg[], code_mov_cr3[], code_vmlaunch[], code_invvpid[];
/* The type and the VPID that code_invvpid gives to INVVPID, for GUEST_LINEAR. */
extern u64 invvpid_type, invvpid_vpid;

/* Where code_load and code_store go: a linear address that only the guest's own tables map. */
#define GUEST_LINEAR	0x40000000ul

/* The entries of the guest's own tables that map GUEST_LINEAR: level 1 is the last. */
extern u64 *guest_entry[5];
/* The entries of EPT that map the page of vm_ept(). */
extern u64 *ept_entry[4];

int vm_create(void);
void vm_destroy(void);
/* Clears the VMCS and fills it with the state of a guest that runs code_vmcall. Called with interrupts disabled. */
void vm_reset(void);
/* Enters the guest once. The host's registers and tables are afterwards as before. */
struct result vm_enter(void);
/* Make the guest ready for another entry, which starts at the code, or behind the instruction that caused the exit. */
void vm_again(void *code);
void vm_skip(void);
/* Invalidate all that is cached of any guest. */
void vm_invept(void);
void vm_invvpid(void);
/* Runs the guest on tables of its own. */
void vm_own_tables(void);
/* Switches EPT on, with an identity map; with_ad: accessed and dirty flags. read_only is a page that EPT maps so, or NULL. */
void vm_ept(bool with_ad, const void *read_only);
/* The guest's IDT becomes one whose every handler is the code. */
void vm_handler(void *code);

void vm_write(u32 field, u64 value);
u64 vm_read(u32 field);
void vm_set(u32 field, u64 bits);
void vm_clear(u32 field, u64 bits);
/* Switch VMX operation on and off for this CPU; vm_other_on() uses a region of its own, for a second CPU. */
bool vm_on(void);
void vm_off(void);
void vm_other_on(void);
/* Switches it on with the region of the first CPU, and off again. */
void vm_same_on(void);
void vm_vmptrld(void *region);
void vm_vmclear(void *region);
/* Writes the revision identifier of VMCSs. */
void vm_revision(void *region);
/* Sets secondary controls. */
void vm_secondary(u32 bits);
/* Keeps interrupts from this CPU, whatever RFLAGS.IF of a guest is. */
void vm_block_interrupts(bool block);
/* Lets the preemption timer end a guest that nothing else ends, after some milliseconds of the TSC. */
#define TIMER_TICKS	640000
void vm_timer(void);
/* Fills the current VMCS with the state of the guest. */
void vm_fill(void);

/*
 * A zeroed page for the use of a fault, the same each time; VMCSs, of which the guest's is current; and the physical address of
 * anything in the kernel's memory. The second half of busy_vmcs is a fault's, until it makes that VMCS active.
 */
extern u8 *scratch, *busy_vmcs;
extern void *shadow_vmcs, *vmxon_region, *vmcs;
u64 physical(const void *address);

extern const struct fault checks_faults[], events_faults[], translations_faults[], vmcs_faults[], msrs_faults[];
/* The handler of NMIs that the faults of events.c send. */
int events_create(void);
void events_destroy(void);
/* Faults that take two CPUs. Returns what went otherwise than planned, or NULL. */
const char *vmcs_on_other_cpu(void);

#endif
