/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* The ioctls that /dev/droste offers in addition to the KVM API. */
#ifndef _UAPI_LINUX_DROSTE_H
#define _UAPI_LINUX_DROSTE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define DROSTE_IOC_MAGIC	0xd5

/* Number of basic exit reasons that are counted, starting with 0 (SDM 3D appendix C). */
#define DROSTE_NR_EXIT_REASONS	80

/**
 * struct droste_exit_stats - VM exits of a vCPU since its creation
 * @exits: exits taken by L0, by basic exit reason
 * @from_l2: the part of @exits that came from L2
 * @reflected: the part of @from_l2 that L0 reflected to L1
 *
 * The exits in @exits but not in @from_l2 came from L1 itself. L0 handled the
 * exits in @from_l2 but not in @reflected without L1's knowledge.
 */
struct droste_exit_stats {
	__u64 exits[DROSTE_NR_EXIT_REASONS];
	__u64 from_l2[DROSTE_NR_EXIT_REASONS];
	__u64 reflected[DROSTE_NR_EXIT_REASONS];
};

/*
 * Reads the counters of the vCPU on whose file descriptor it is issued. Like
 * all vCPU ioctls, it waits while the vCPU is in KVM_RUN.
 * Errors: EFAULT; EINTR if a signal interrupts the wait.
 */
#define DROSTE_GET_EXIT_STATS	_IOR(DROSTE_IOC_MAGIC, 0x01, struct droste_exit_stats)

/* --- ports of the host --- */

/**
 * struct droste_pass_ports - a range of ports
 * @first: the first port
 * @count: how many; the last one is at most 0xffff
 * @on: 1: the VM's guests access them directly; 0: their accesses exit
 * @reserved: 0
 */
struct droste_pass_ports {
	__u32 first;
	__u32 count;
	__u32 on;
	__u32 reserved[5];
};

/*
 * On a VM: from now on its guests access these ports of the host without an exit, or no more. Nothing that is emulated sees
 * an access to a port that is passed. An access to several ports, of which one is not passed, exits as a whole, and so does
 * one that wraps around after port 0xffff. An L2 accesses a port directly only if its L1 lets it, too (SDM 3C 25.6.4).
 * When the call returns, it is in force on all vCPUs.
 * Needs, if @on is 1, what ioperm() needs: CAP_SYS_RAWIO in the first user namespace, and a kernel that is not locked down.
 * Errors: EINVAL for a range that is empty or ends above 0xffff, another value of @on, or if @reserved is not 0; EPERM;
 * EOPNOTSUPP if the processor has no I/O bitmaps; ENOMEM; EFAULT.
 */
#define DROSTE_PASS_PORTS	_IOW(DROSTE_IOC_MAGIC, 0x20, struct droste_pass_ports)

/* --- exits that a VM need not have, for research --- */

/* The instructions that struct droste_force_exits makes exit, by the control that makes them (SDM 3C 25.6.2). */
#define DROSTE_FORCE_CR3_LOAD	(1 << 0)	/* MOV to CR3 */
#define DROSTE_FORCE_CR3_STORE	(1 << 1)	/* MOV from CR3 */
#define DROSTE_FORCE_INVLPG	(1 << 2)	/* INVLPG, INVPCID */
#define DROSTE_FORCE_RDTSC	(1 << 3)	/* RDTSC, RDTSCP */
#define DROSTE_FORCE_RDPMC	(1 << 4)	/* RDPMC, which exits without being forced too */
#define DROSTE_FORCE_TABLES	(1 << 5)	/* SGDT, SIDT, SLDT, STR, LGDT, LIDT, LLDT, LTR */
#define DROSTE_FORCE_RDRAND	(1 << 6)	/* RDRAND */
#define DROSTE_FORCE_RDSEED	(1 << 7)	/* RDSEED */
#define DROSTE_FORCE_PAUSE	(1 << 8)	/* each PAUSE; not in an L2 whose L1 asked for exits of PAUSE loops */

/**
 * struct droste_force_exits - exits that a VM takes although it need not
 * @mask: DROSTE_FORCE_*
 * @supported: those that this processor has; of DROSTE_FORCE_EXITS: 0
 * @reserved: 0
 */
struct droste_force_exits {
	__u64 mask;
	__u64 supported;
	__u64 reserved[2];
};

/*
 * On a VM. L0 carries each of these instructions out as the processor does. An L1 never sees the exits that are forced in its
 * L2, and gets those that it asked for itself. When the call returns, all vCPUs run with the new mask.
 * Errors: EINVAL for bits that are not DROSTE_FORCE_*, or if @supported or @reserved is not 0; ENXIO for bits that this
 * processor does not have; EFAULT.
 */
#define DROSTE_FORCE_EXITS	_IOW(DROSTE_IOC_MAGIC, 0x30, struct droste_force_exits)

/* Reads the mask of a VM, and the supported bits. Errors: EFAULT. */
#define DROSTE_GET_FORCE_EXITS	_IOR(DROSTE_IOC_MAGIC, 0x31, struct droste_force_exits)

/* --- WBINVD as a barrier --- */

/* Of struct droste_barrier: a barrier ends KVM_RUN, and waits until it is released. */
#define DROSTE_BARRIER_EXITS	1

/**
 * struct droste_barrier - what WBINVD is
 * @flags: 0 or DROSTE_BARRIER_EXITS
 * @reserved: 0
 */
struct droste_barrier {
	__u32 flags;
	__u32 reserved[3];
};

/*
 * On a VM: from now on WBINVD and WBNOINVD of its guests, at any level, end KVM_RUN with DROSTE_EXIT_BARRIER, or no more;
 * without the flag, a barrier that waits for its release is over.
 * When KVM_RUN ends so, no vCPU of the VM is in the guest, all that was written is in the dirty log, and the caches are
 * written back if a device's DMA passes them by. No vCPU enters the guest until DROSTE_RELEASE_BARRIER: KVM_RUN waits, and
 * ends with EINTR for a signal. WBINVD of L1 is complete, that of L2 too, or L1 has got the exit. Another vCPU's WBINVD that
 * came meanwhile has no exit of its own, unless a signal ends its wait. Memory does not change until the release, but for
 * accesses that user space has KVM_RUN finish with immediate_exit. A vCPU that stands at an exit (DROSTE_BREAK) keeps the
 * barrier waiting.
 * Without the flag WBINVD is the same barrier while any slot is logged, but user space does not see it.
 * Errors: EINVAL for other flags, or if @reserved is not 0; EOPNOTSUPP if this processor's WBINVD cannot exit; EFAULT.
 */
#define DROSTE_SET_BARRIER	_IOW(DROSTE_IOC_MAGIC, 0x32, struct droste_barrier)

/*
 * On a VM: lets its vCPUs go on after the barrier with this number.
 * Errors: ENOENT if that barrier does not wait for its release; EFAULT.
 */
#define DROSTE_RELEASE_BARRIER	_IOW(DROSTE_IOC_MAGIC, 0x33, __u64)

/* The exit_reason of struct kvm_run at a barrier; struct droste_barrier_exit is in the union behind, at @padding. */
#define DROSTE_EXIT_BARRIER	0xd5000001

/**
 * struct droste_barrier_exit - a barrier
 * @seq: its number; those of a VM are numbered from 1, with gaps
 * @level: of the guest that executed WBINVD: 1, or 2 for an L2
 * @reserved: 0
 */
struct droste_barrier_exit {
	__u64 seq;
	__u32 level;
	__u32 reserved;
};

/* --- looking at any VM of the host --- */

/* Of struct droste_vm_name: the first VM whose number is above the given one. */
#define DROSTE_NEXT	1

/**
 * struct droste_vm_name - which VM to look at
 * @number: the VM's number: VMs are numbered from 1 as they are created
 * @flags: 0 or DROSTE_NEXT
 */
struct droste_vm_name {
	__u32 number;
	__u32 flags;
};

/*
 * On /dev/droste: returns a descriptor that can look at a VM, whoever made it. It keeps the VM, but not its process.
 * Needs CAP_SYS_ADMIN in the first user namespace.
 * Errors: EPERM; ENOENT if there is no such VM; EINVAL for other flags; EFAULT; EMFILE; ENOMEM.
 */
#define DROSTE_INSPECT		_IOW(DROSTE_IOC_MAGIC, 0x10, struct droste_vm_name)

/**
 * struct droste_vm_info - a VM
 * @number: its number
 * @pid: the process that created it, as the caller sees it; 0 if it does not
 * @nr_vcpus: its vCPUs have the indexes below
 * @nr_slots: memory slots
 * @memory: bytes in them
 * @name: of the process, when it created the VM; ends with a 0
 * @flags: 0 or DROSTE_VM_CLOSED
 * @reserved: 0
 */
struct droste_vm_info {
	__u32 number;
	__s32 pid;
	__u32 nr_vcpus;
	__u32 nr_slots;
	__u64 memory;
	char name[16];
	__u64 flags;
	__u64 reserved[3];
};

/* Of struct droste_vm_info: the VM's process has closed it, and only those who look keep it. */
#define DROSTE_VM_CLOSED	1

/* The following are for the descriptor of DROSTE_INSPECT. */
#define DROSTE_VM_INFO		_IOR(DROSTE_IOC_MAGIC, 0x11, struct droste_vm_info)

/**
 * struct droste_vcpu_info - a vCPU, without waiting for it
 * @vcpu: in: its index
 * @id: its APIC ID
 * @level: 1 or 2, the level that it runs
 * @mp_state: KVM_MP_STATE_*
 * @flags: DROSTE_VCPU_*
 * @reserved: 0
 * @vmptr: address of L1's current VMCS, ~0 if there is none
 * @entries: L1's VM entries that succeeded
 * @exits: as in struct droste_exit_stats
 * @shown: what L1 was shown, by the reason that it was shown, exits that L0 made up included
 *
 * The vCPU may run meanwhile: the members are each correct, but not from one moment.
 */
struct droste_vcpu_info {
	__u32 vcpu;
	__u32 id;
	__u32 level;
	__u32 mp_state;
	__u32 flags;
	__u32 reserved;
	__u64 vmptr;
	__u64 entries;
	struct droste_exit_stats exits;
	__u64 shown[DROSTE_NR_EXIT_REASONS];
};

#define DROSTE_VCPU_VMX		1	/* L1 is in VMX operation */
#define DROSTE_VCPU_RUNS	2	/* a thread is in KVM_RUN, or in another ioctl of the vCPU */
#define DROSTE_VCPU_STANDS	4	/* it stands at an exit: see DROSTE_BREAK */

/* Errors: EINVAL if there is no such vCPU; EFAULT. */
#define DROSTE_VCPU_INFO	_IOWR(DROSTE_IOC_MAGIC, 0x12, struct droste_vcpu_info)

/* Which VMCS: that of L1, L1's for L2, the merged one, and the hardware's shadow VMCS. */
#define DROSTE_VMCS01		0
#define DROSTE_VMCS12		1
#define DROSTE_VMCS02		2
#define DROSTE_VMCS_SHADOW	3
/* One that is in L1's memory, at the address in vmptr: not the current one, whose values Droste holds elsewhere. */
#define DROSTE_VMCS_MEMORY	4

/**
 * struct droste_vmcs_field - a field of a VMCS
 * @encoding: SDM 3D appendix B
 * @flags: DROSTE_FIELD_*
 * @value: its value
 */
struct droste_vmcs_field {
	__u32 encoding;
	__u32 flags;
	__u64 value;
};

#define DROSTE_FIELD_HIDDEN	1	/* a secret of the host, and the value is 0 */
#define DROSTE_FIELD_HOST	2	/* of the host-state area */
#define DROSTE_FIELD_GATED	4	/* of VMCS01 and VMCS02: the field does not exist for this L1, whose VMREAD fails */
/*
 * Of DROSTE_VMCS12: Droste's copy of the VMCS had an older value. The one told was collected for this call: from VMCS02 and the
 * registers, or from the hardware's shadow VMCS. While L1 runs, the copy is up to date afterwards.
 */
#define DROSTE_FIELD_STALE	8
/*
 * Of DROSTE_VMCS12: L1 has written the field, or another one of its group, since its last VM entry, or may have, as after
 * VMPTRLD. The next entry examines the group again.
 */
#define DROSTE_FIELD_DIRTY	16

/**
 * struct droste_vmcs - the fields of a VMCS that Droste knows and that exist
 * @vcpu: in: the vCPU's index
 * @which: in: DROSTE_VMCS01 and so on
 * @nr: in: room in @fields; out: fields in the VMCS
 * @flags: in: 0; out, unless the call fails: DROSTE_VMCS_IN_L2, or for DROSTE_VMCS_MEMORY the others
 * @fields: in: address of an array of struct droste_vmcs_field
 * @vmptr: in, for DROSTE_VMCS_MEMORY: its address; out, for the others: address of L1's current VMCS, ~0 if there is none
 * @merged: out: L0's pin-based, primary and secondary processor-based, VM-exit and VM-entry controls and exception bitmap
 *	from which those of VMCS02 were merged; valid with DROSTE_VMCS_IN_L2
 */
struct droste_vmcs {
	__u32 vcpu;
	__u32 which;
	__u32 nr;
	__u32 flags;
	__u64 fields;
	__u64 vmptr;
	__u32 merged[6];
};

#define DROSTE_VMCS_IN_L2	1	/* the vCPU runs L2 */
#define DROSTE_VMCS_CURRENT	2	/* it is current on some vCPU: memory does not have its values of now */
#define DROSTE_VMCS_LAUNCHED	4	/* its launch state is "launched" */
#define DROSTE_VMCS_FOR_L2	8	/* it is a shadow VMCS, which L1 gives to L2 */

/*
 * The vCPU's thread reads the fields at its next exit; if none is in KVM_RUN, the caller does. Host state and host
 * addresses are hidden without CAP_SYSLOG. For DROSTE_VMCS_MEMORY, the vCPU only tells which fields exist.
 * Errors: EINVAL if there is no such vCPU or VMCS, or for flags; ENOENT if the vCPU has no such VMCS now; E2BIG if the
 * array is too small, with the number of fields in nr; EINTR for a signal; EFAULT; ENOMEM.
 * For DROSTE_VMCS_MEMORY also: EINVAL if the address is no multiple of 4096; ENXIO if L1 has no memory there; EAGAIN if the
 * host does not have the page now, because it was never touched or is swapped out; ENODATA if the page does not begin with
 * the revision identifier of a VMCS; ESRCH if the VM's process has ended.
 */
#define DROSTE_GET_VMCS		_IOWR(DROSTE_IOC_MAGIC, 0x13, struct droste_vmcs)

#define DROSTE_NR_VMX_CAPS	18

/**
 * struct droste_why - the last VM entry of L1 that failed
 * @vcpu: in: the vCPU's index
 * @nr: in: room in @fields; out: fields in it
 * @check: number of the row of checks.def at which the entry stopped; 0: not because of a check
 * @maxphyaddr: width of L1's physical addresses
 * @seq: number of the exit for L1's VMLAUNCH or VMRESUME
 * @vmptr: address of the VMCS in L1's memory; ~0: none was current, and there are no fields
 * @efer: bits of IA32_EFER that L1 may set
 * @debugctl: bits of IA32_DEBUGCTL that L1 may set
 * @failed: bit n: row n of checks.def fails
 * @caps: IA32_VMX_BASIC and the MSRs behind it, as L1 reads them
 * @fields: in: address of an array of struct droste_vmcs_field, for VMCS12 as it was then
 * @rip: address of that instruction
 * @entries: L1's VM entries that have succeeded until now
 * @failures: those that have failed until now
 * @qual: exit qualification that L1 was shown, 0 if the instruction failed
 * @flags: DROSTE_WHY_*
 * @code: how it failed: VM-instruction error, 0 for VMfailInvalid; or basic exit reason, 33 or 34, of a failed entry
 */
struct droste_why {
	__u32 vcpu;
	__u32 nr;
	__u32 check;
	__u32 maxphyaddr;
	__u64 seq;
	__u64 vmptr;
	__u64 efer;
	__u64 debugctl;
	__u64 failed[4];
	__u64 caps[DROSTE_NR_VMX_CAPS];
	__u64 fields;
	__u64 rip;
	__u64 entries;
	__u64 failures;
	__u64 qual;
	__u32 flags;
	__u32 code;
};

#define DROSTE_WHY_VMLAUNCH	1	/* the instruction was VMLAUNCH, else VMRESUME */

/* Errors: as DROSTE_GET_VMCS; ENOENT if no entry has failed. */
#define DROSTE_GET_WHY		_IOWR(DROSTE_IOC_MAGIC, 0x14, struct droste_why)

#define DROSTE_EPT_LEVELS	4

/**
 * struct droste_ept_tables - the entries of extended page tables that translate an address
 * @eptp: the EPT pointer
 * @at: physical addresses of the entries, from the root's table on: L1's for EPT12, the host's for EPT01 and EPT02
 * @entry: their values
 * @nr: how many entries were read, the one that ended the walk included
 * @flags: DROSTE_EPT_*
 */
struct droste_ept_tables {
	__u64 eptp;
	__u64 at[DROSTE_EPT_LEVELS];
	__u64 entry[DROSTE_EPT_LEVELS];
	__u32 nr;
	__u32 flags;
};

#define DROSTE_EPT_EXISTS	1	/* there are such tables */
#define DROSTE_EPT_LEAF		2	/* the last entry maps a page */
#define DROSTE_EPT_HIDDEN	4	/* host-physical addresses are 0, in the entries too: they need CAP_SYSLOG */
#define DROSTE_EPT_NO_MEMORY	8	/* EPT12: L1 has no memory at the last address, so its entry is 0 here */
#define DROSTE_EPT_NOT_NOW	16	/* EPT12: the host does not have that page now, and looking does not fetch it */

/* What an access does. */
#define DROSTE_EPT_THROUGH	0	/* it goes through without an exit */
#define DROSTE_EPT_FILLS	1	/* L0 maps the page, and L1 does not know */
#define DROSTE_EPT_VIOLATION	2	/* L1 is shown an EPT violation */
#define DROSTE_EPT_MISCONFIG	3	/* L1 is shown an EPT misconfiguration */
#define DROSTE_EPT_MMIO		4	/* there is no memory: the access is to a device of L0 or of user space */
#define DROSTE_EPT_READONLY	5	/* a write to a read-only slot: to user space, as for MMIO */
#define DROSTE_EPT_APIC		6	/* L1 is shown an APIC access */
#define DROSTE_EPT_UNKNOWN	7	/* an entry of EPT12 could not be read: DROSTE_EPT_NOT_NOW */

/**
 * struct droste_ept_access - what an access of the guest to the address would do
 * @verdict: DROSTE_EPT_THROUGH and so on
 * @sets: accessed and dirty flags that the access sets in EPT12, as bits of its entries
 * @qual: the exit qualification that L1 reads, for DROSTE_EPT_VIOLATION; of an access by a linear address that is not one to a
 *	paging structure
 */
struct droste_ept_access {
	__u32 verdict;
	__u32 sets;
	__u64 qual;
};

/**
 * struct droste_ept - one address through all extended page tables
 * @vcpu: in: the vCPU's index
 * @flags: in: 0 or DROSTE_EPT_OF_L1; out: DROSTE_EPT_OF_L1 and the others
 * @gpa: in: the guest-physical address of L2, or of L1
 * @l1_gpa: out: L1's guest-physical address, with DROSTE_EPT_TRANSLATED
 * @slot: out: with DROSTE_EPT_IN_SLOT, the number of the memory slot with that address
 * @slot_flags: out: its flags, KVM_MEM_*
 * @slot_gpa: out: its first address
 * @slot_size: out: its size in bytes
 * @slot_hva: out: where it is in its process; 0 without CAP_SYSLOG
 * @ept12: out: L1's tables
 * @ept01: out: L0's tables for L1
 * @ept02: out: L0's tables for L2, composed of these two
 * @access: out: for a read, a write and an instruction fetch
 * @reserved: 0
 *
 * L1's tables are those of the L2 that runs, or of L1's current VMCS while L1 runs.
 */
struct droste_ept {
	__u32 vcpu;
	__u32 flags;
	__u64 gpa;
	__u64 l1_gpa;
	__u32 slot;
	__u32 slot_flags;
	__u64 slot_gpa;
	__u64 slot_size;
	__u64 slot_hva;
	struct droste_ept_tables ept12;
	struct droste_ept_tables ept01;
	struct droste_ept_tables ept02;
	struct droste_ept_access access[3];
	__u64 reserved[4];
};

#define DROSTE_EPT_OF_L1	1	/* the address is one of L1, and L1 accesses it */
#define DROSTE_EPT_IN_L2	2	/* the vCPU runs L2 */
#define DROSTE_EPT_TRANSLATED	4	/* L1's tables translate the address, or L1 does not use EPT */
#define DROSTE_EPT_IN_SLOT	8	/* there is memory */
#define DROSTE_EPT_APIC_PAGE	16	/* it is L1's APIC-access page, where the processor virtualizes accesses of L2 */

/*
 * Nothing changes: no accessed flag is set, and no page is mapped or fetched. The vCPU's thread looks at its next exit; if
 * none is in KVM_RUN, the caller does.
 * Errors: EINVAL if there is no such vCPU, for other flags, or if a reserved member is not 0; ENOENT if L1 has no current
 * VMCS, unless DROSTE_EPT_OF_L1 is set; ESRCH if the VM's process has ended; EINTR for a signal; EFAULT.
 */
#define DROSTE_GET_EPT		_IOWR(DROSTE_IOC_MAGIC, 0x15, struct droste_ept)

/**
 * struct droste_last_exit - the last exit of a vCPU, and why it went where it went
 * @vcpu: in: the vCPU's index
 * @flags: out: DROSTE_EXIT_*
 * @seq: number of the exit
 * @reason: exit reason, bit 31 included (SDM 3D appendix C)
 * @ilen: length of the instruction, if one caused the exit
 * @rip: where the level that exited is now: at the instruction, or behind it if L0 has carried it out
 * @qual: exit qualification
 * @gpa: guest-physical address, for EPT violations and misconfigurations
 * @intr_info: interruption information
 * @intr_error: its error code
 * @arg: what the exit is about: MSR, port, encoding of a field of a VMCS, value for a control register
 * @to: 0 or 1: who handles the exit, L0 or L1
 * @why: number of what decided that, see kmod/nested/route_why.h
 * @shown: the exit reason that L1 was shown
 * @field: encoding of the field of VMCS12 that was looked at last; 0: none
 * @word: its value
 * @bits: the bits of it that were tested
 * @bitmap: L1's guest-physical address of the byte of a bitmap that decided
 * @bitmap_mask: the bits of it that were tested; bits above 7 are of the next byte
 * @bitmap_bits: those of them that are set
 * @reserved: 0
 *
 * The members from @to on are for exits of L2. They are worked out when this is called, from VMCS12 and L1's bitmaps as they
 * are then.
 */
struct droste_last_exit {
	__u32 vcpu;
	__u32 flags;
	__u64 seq;
	__u32 reason;
	__u32 ilen;
	__u64 rip;
	__u64 qual;
	__u64 gpa;
	__u32 intr_info;
	__u32 intr_error;
	__u64 arg;
	__u32 to;
	__u32 why;
	__u32 shown;
	__u32 field;
	__u64 word;
	__u64 bits;
	__u64 bitmap;
	__u32 bitmap_mask;
	__u32 bitmap_bits;
	__u64 reserved[4];
};

#define DROSTE_EXIT_L2		1	/* it came from L2 */
#define DROSTE_EXIT_SHORT	2	/* it went the short way of the run loop: only the reason is known, not even the level */
#define DROSTE_EXIT_GONE	4	/* it came from L2, but L1 has left VMX operation since: what decided is not known */
#define DROSTE_EXIT_SHOWN	8	/* L1 was shown @shown because of it */
#define DROSTE_EXIT_RIP		16	/* @rip is valid */
#define DROSTE_EXIT_ARG		32	/* @arg is valid */
#define DROSTE_EXIT_QUAL	64	/* the exit defines @qual */
#define DROSTE_EXIT_GPA		128	/* it defines @gpa */
#define DROSTE_EXIT_BITMAP	256	/* a bitmap decided; with @bitmap_mask 0, none covers the access, and L1 gets it */
#define DROSTE_EXIT_NOT_READ	512	/* the bitmap could not be read now, and counts as all ones */

/*
 * Of a vCPU that runs, it is the next exit that the guest makes by itself; of another, the last one that it made.
 * Errors: EINVAL if there is no such vCPU, for flags, or if a reserved member is not 0; ENOENT if the vCPU has never run;
 * ESRCH if the VM's process has ended; EINTR for a signal; EFAULT; ENOMEM.
 */
#define DROSTE_GET_EXIT		_IOWR(DROSTE_IOC_MAGIC, 0x16, struct droste_last_exit)

/**
 * struct droste_segment - a segment register
 * @base: its base
 * @limit: its limit in bytes
 * @rights: its access rights as in a VMCS: bit 16 says that it is unusable (SDM 3C 25.4.1)
 * @selector: its selector
 * @reserved: 0
 */
struct droste_segment {
	__u64 base;
	__u32 limit;
	__u32 rights;
	__u16 selector;
	__u16 reserved[3];
};

/**
 * struct droste_regs - the registers of a level
 * @vcpu: in: the vCPU's index
 * @level: in: 1 or 2, or 0 for the level that runs; out: 1 or 2
 * @flags: in: 0; out: DROSTE_REGS_*
 * @reserved0: 0
 * @gpr: general registers, by the number that instructions use: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15
 * @rip: address of the next instruction; of L1 while L2 runs, that of its VMLAUNCH or VMRESUME
 * @rflags: RFLAGS
 * @cr0: CR0 with which the level runs: MOV from CR0 by L2 may read other values of bits in L1's CR0 mask
 * @cr2: CR2
 * @cr3: CR3
 * @cr4: CR4, as @cr0
 * @cr8: CR8
 * @efer: IA32_EFER
 * @dr: DR0 to DR3
 * @dr6: DR6
 * @dr7: DR7
 * @seg: ES, CS, SS, DS, FS, GS, LDTR, TR
 * @gdtr_base: base of the GDT
 * @idtr_base: base of the IDT
 * @gdtr_limit: its limit
 * @idtr_limit: its limit
 * @reserved: 0
 */
struct droste_regs {
	__u32 vcpu;
	__u32 level;
	__u32 flags;
	__u32 reserved0;
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 cr8;
	__u64 efer;
	__u64 dr[4];
	__u64 dr6;
	__u64 dr7;
	struct droste_segment seg[8];
	__u64 gdtr_base;
	__u64 idtr_base;
	__u32 gdtr_limit;
	__u32 idtr_limit;
	__u64 reserved[8];
};

#define DROSTE_REGS_IN_L2	1	/* the vCPU runs L2 */
#define DROSTE_REGS_SHARED	2	/* L1 waits: general registers but RSP, CR2, DR0 to DR3 and DR6 are now those of L2 */
#define DROSTE_REGS_NO_CR8	4	/* CR8 of L2 is in a page that the host does not have now; @cr8 is 0 */

/*
 * Nothing changes. The vCPU's thread reads the registers at its next exit; if none is in KVM_RUN, the caller does.
 * Errors: EINVAL if there is no such vCPU or level, for flags, or if a reserved member is not 0; ENOENT for level 2 while L1
 * runs; ESRCH if the VM's process has ended; EINTR for a signal; EFAULT.
 */
#define DROSTE_GET_REGS_ALL	_IOWR(DROSTE_IOC_MAGIC, 0x17, struct droste_regs)

/**
 * struct droste_match - exits at which a vCPU stands: those with all that @flags names
 * @vcpu: with DROSTE_MATCH_VCPU: index of the vCPU
 * @flags: DROSTE_MATCH_*; 0: every exit
 * @level: with DROSTE_MATCH_LEVEL: 1 or 2, the level that exits
 * @reason: with DROSTE_MATCH_REASON: basic exit reason
 * @to: with DROSTE_MATCH_TO: 0 or 1, who gets the exit, as in struct droste_last_exit; all exits of L1 are L0's
 * @why: with DROSTE_MATCH_WHY: number of what decided that; no exit of L1 matches
 * @rip_first: with DROSTE_MATCH_RIP: first address of the instruction
 * @rip_last: last one
 * @seq_first: with DROSTE_MATCH_SEQ: first number of the exit
 * @seq_last: last one
 * @nth: 0: all exits that match; else only the one with this number among the VM's that match, counted from DROSTE_BREAK on
 * @reserved: 0
 *
 * A member whose flag is not set is 0.
 */
struct droste_match {
	__u32 vcpu;
	__u32 flags;
	__u32 level;
	__u32 reason;
	__u32 to;
	__u32 why;
	__u64 rip_first;
	__u64 rip_last;
	__u64 seq_first;
	__u64 seq_last;
	__u64 nth;
	__u64 reserved[4];
};

#define DROSTE_MATCH_VCPU	1
#define DROSTE_MATCH_LEVEL	2
#define DROSTE_MATCH_REASON	4
#define DROSTE_MATCH_TO		8
#define DROSTE_MATCH_WHY	16
#define DROSTE_MATCH_RIP	32
#define DROSTE_MATCH_SEQ	64

/*
 * From now on a vCPU stands at each exit that matches: its thread waits in KVM_RUN before the exit is handled. The others go
 * on, and all calls on this and other descriptors of DROSTE_INSPECT look at it as at one that is halted. poll() says POLLIN
 * while a vCPU stands, and DROSTE_VCPU_INFO says which one does.
 *
 * A vCPU that stands goes on with DROSTE_CONT, with the next DROSTE_BREAK, when the last copy of the descriptor is closed, and
 * for a signal to its thread, which ends KVM_RUN as at any time. It stands again at the next exit that matches. A VM has one
 * match, which belongs to the descriptor; another call on this one replaces it. While there is a match, exits of all VMs take
 * the long way.
 * Errors: EINVAL for unknown flags, a number that is out of range or of no vCPU, a range that is empty, or a member that must
 * be 0; EBUSY if another descriptor has a match for this VM; EFAULT; ENOMEM.
 */
#define DROSTE_BREAK		_IOW(DROSTE_IOC_MAGIC, 0x18, struct droste_match)

/* Lets all vCPUs of the VM that stand go on. Errors: ENOENT if the descriptor has no match. */
#define DROSTE_CONT		_IO(DROSTE_IOC_MAGIC, 0x19)

/* --- what the processors of several hosts have in common --- */

#define DROSTE_POOL_CPUID	192	/* most leaves and sub-leaves */
#define DROSTE_POOL_MSRS	64	/* most feature MSRs */
#define DROSTE_POOL_LIST	256	/* most MSRs with a vCPU's state */

/* Of struct droste_pool_cpuid: the leaf has sub-leaves, and this is one of them. */
#define DROSTE_POOL_INDEXED	1

/**
 * struct droste_pool_cpuid - a leaf or sub-leaf of CPUID
 * @leaf: EAX of the instruction
 * @subleaf: ECX of the instruction; 0 without DROSTE_POOL_INDEXED
 * @flags: 0 or DROSTE_POOL_INDEXED
 * @regs: EAX, EBX, ECX, EDX
 */
struct droste_pool_cpuid {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 regs[4];
};

/**
 * struct droste_pool_msr - a feature MSR
 * @index: its number
 * @reserved: 0
 * @value: its value
 */
struct droste_pool_msr {
	__u32 index;
	__u32 reserved;
	__u64 value;
};

/* Of struct droste_pool: guests can have another TSC frequency than the host's. */
#define DROSTE_POOL_TSC_SCALING	1

/**
 * struct droste_pool - a processor as guests can have it: that of one host, or what several hosts have in common
 * @nr_cpuid: leaves in @cpuid; 0: no pool
 * @nr_msrs: MSRs in @msrs
 * @nr_list: MSRs in @list
 * @flags: 0 or DROSTE_POOL_TSC_SCALING
 * @tsc_khz: the TSC's lowest frequency of hosts that cannot scale it; if all can, the lowest of all
 * @tsc_khz_max: the highest frequency, likewise
 * @reserved: 0
 * @cpuid: the leaves, in ascending order
 * @msrs: the feature MSRs, in ascending order: those of KVM_GET_MSRS on the device
 * @list: numbers of the MSRs of KVM_GET_MSR_INDEX_LIST, in ascending order
 */
struct droste_pool {
	__u32 nr_cpuid;
	__u32 nr_msrs;
	__u32 nr_list;
	__u32 flags;
	__u32 tsc_khz;
	__u32 tsc_khz_max;
	__u32 reserved[6];
	struct droste_pool_msr msrs[DROSTE_POOL_MSRS];
	struct droste_pool_cpuid cpuid[DROSTE_POOL_CPUID];
	__u32 list[DROSTE_POOL_LIST];
};

/*
 * On /dev/droste, for the whole host: from now on the device offers the pool's processor, and new VMs can have no more; VMs
 * that exist keep what they have. A structure that is 0 in all its members ends it.
 * KVM_GET_SUPPORTED_CPUID, KVM_GET_MSRS of the device, KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST,
 * KVM_CHECK_EXTENSION of KVM_CAP_XCRS, KVM_CAP_TSC_CONTROL and KVM_CAP_VM_TSC_CONTROL, and KVM_X86_XCOMP_GUEST_SUPP answer for
 * the pool. IA32_VMX_VMCS_ENUM follows from the other capabilities.
 * Needs CAP_SYS_ADMIN in the first user namespace.
 * Errors: EPERM; EINVAL if an order is wrong, something reserved is not 0, a leaf has no sub-leaves or must have them, a
 * feature needs another that the pool lacks, or leaf 0 or 1 is missing; ENXIO if this host lacks something that the pool has:
 * one line in the kernel's log names the first; EFAULT; ENOMEM.
 */
#define DROSTE_SET_POOL		_IOW(DROSTE_IOC_MAGIC, 0x40, struct droste_pool)

/* Of struct droste_pool, for DROSTE_GET_POOL: that of this host, whatever the device's pool is. */
#define DROSTE_POOL_HOST	2

/*
 * On /dev/droste: reads the device's pool, with @nr_cpuid 0 if there is none. With DROSTE_POOL_HOST in @flags: what it could
 * be at most. Errors: EINVAL for other flags; EFAULT; ENOMEM.
 */
#define DROSTE_GET_POOL		_IOWR(DROSTE_IOC_MAGIC, 0x41, struct droste_pool)

/* --- a guest that looks like a real machine --- */

/**
 * struct droste_profile - what a VM hides, apart from what the KVM API can hide
 * @clock_bound: how far the counter of a vCPU may be behind, in ns, at most 1,000,000; 0: no cost of an exit is hidden
 * @clock_extra: ticks of the host's TSC that an exit costs besides those between L0's first and last instruction, less those
 *	that the instruction costs without an exit; between -100,000 and 100,000
 * @apic_hz: the rate of the local APICs' timers before division, 1 MHz to 1 GHz: what CPUID leaf 0x15 says of the crystal;
 *	0: that of KVM_CAP_X86_APIC_BUS_CYCLES_NS
 * @flags: 0
 * @reserved: 0
 */
struct droste_profile {
	__u64 clock_bound;
	__s64 clock_extra;
	__u32 apic_hz;
	__u32 flags;
	__u64 reserved[5];
};

/*
 * On a VM without vCPUs: from an exit of an instruction that has no exit on a real machine (CPUID, RDMSR and WRMSR, XSETBV,
 * MOV to control and debug registers, VMX instructions; the list is in kmod/vmx/hide.c) to the next entry, the vCPU's
 * time-stamp counter stands still, as do L2's, and the deadlines of the local APIC timer and of L1's VMX-preemption timer.
 * It catches up at interrupts of the host and when the vCPU halts. It is never behind by more than @clock_bound, and
 * never goes back if @clock_extra is at most what it stands for: an exit that would take it further is not hidden. Other
 * clocks of the VM go on: they differ from it by at most @clock_bound. KVM_GET_MSRS and KVM_VCPU_TSC_OFFSET tell the
 * counter as the guest sees it; a vCPU that is set owes nothing. Needs CAP_SYS_ADMIN in the first user namespace. The last call counts.
 * Errors: EPERM; EINVAL for other values, or if @reserved is not 0 or there is a vCPU; EOPNOTSUPP if the host's TSC has no
 * constant rate; EFAULT.
 */
#define DROSTE_SET_PROFILE	_IOW(DROSTE_IOC_MAGIC, 0x42, struct droste_profile)

#endif
