/* SPDX-License-Identifier: GPL-2.0 */
/* The format of a migration stream, and of a file with a saved machine; docs/migration.md describes it. */
#ifndef DROSTECTL_MOVEFMT_H
#define DROSTECTL_MOVEFMT_H

#include <stdint.h>

#define MOVE_MAGIC	"DROSTEVM"
#define MOVE_VERSION	1
#define MOVE_PAGE	4096u
#define MOVE_RUN	64u		/* most pages of one record */
#define MOVE_MAX	(1u << 20)	/* no record is longer */
#define MOVE_TEXT	4096u		/* nor a text */
#define MOVE_SKIP	0x8000u		/* a record whose type has this bit may be skipped by a reader that does not know it */

/** struct move_start - what a stream begins with, in each direction */
struct move_start {
	char magic[8];		/* MOVE_MAGIC */
	uint32_t version;	/* MOVE_VERSION */
	uint32_t crc;		/* of the members before */
};

/** struct move_head - what a record begins with */
struct move_head {
	uint32_t type;		/* enum move_type */
	uint32_t index;		/* which vCPU or chip, else 0 */
	uint32_t number;	/* the stream's records are numbered from 0 */
	uint32_t length;	/* bytes that follow */
	uint32_t crc;		/* of the members before, and of these bytes */
};

/** enum move_type - the kinds of records */
enum move_type {
	/* What machine it is. */
	MOVE_MACHINE = 0x01,	/* struct move_machine */
	MOVE_POOL,		/* struct droste_pool: the guest's processor */
	/* Memory. */
	MOVE_PAGES = 0x08,	/* uint64_t address, then whole pages */
	MOVE_ZERO,		/* struct move_zero: pages of zeros */
	/* Devices of the machine. */
	MOVE_IRQCHIP = 0x10,	/* struct kvm_irqchip; the index is the chip's number */
	MOVE_PIT,		/* struct kvm_pit_state2 */
	MOVE_CLOCK,		/* uint64_t: nanoseconds of kvmclock */
	MOVE_SERIAL,		/* struct move_serial */
	MOVE_RTC,		/* struct move_rtc */
	MOVE_POWER,		/* struct move_power */
	MOVE_INPUT,		/* console input that the port has not taken yet */
	MOVE_OUTPUT,		/* console output since the state before */
	/* State of a vCPU; the index is its number. */
	MOVE_CPUID = 0x20,	/* struct kvm_cpuid_entry2, several */
	MOVE_SREGS,		/* struct kvm_sregs */
	MOVE_LAPIC,		/* struct kvm_lapic_state */
	MOVE_NESTED,		/* struct kvm_nested_state and its data */
	MOVE_REGS,		/* struct kvm_regs */
	MOVE_XCRS,		/* struct kvm_xcrs */
	MOVE_XSAVE,		/* struct kvm_xsave */
	MOVE_MSRS,		/* struct kvm_msr_entry, several */
	MOVE_EVENTS,		/* struct kvm_vcpu_events */
	MOVE_MP,		/* struct kvm_mp_state */
	MOVE_DEBUG,		/* struct kvm_debugregs */
	/* What the source says. */
	MOVE_BARRIER = 0x40,	/* struct move_barrier: the state is complete */
	MOVE_END,		/* it is complete, and the guest does not run any more */
	MOVE_COMMIT,		/* the receiver may start the guest */
	MOVE_CANCEL,		/* text: the receiver must not start the guest */
	/* What the receiver says. */
	MOVE_ACCEPT = 0x50,	/* it can run this machine */
	MOVE_REFUSE,		/* text: it cannot */
	MOVE_ACK,		/* uint64_t: it has the barrier of this number */
	MOVE_READY,		/* it has everything, and can start the guest */
};

/** struct move_machine - the size of a machine */
struct move_machine {
	uint32_t nr_vcpus;
	uint32_t memory;	/* MiB */
	uint32_t tsc_khz;	/* of its vCPUs */
	uint32_t moves;		/* how often it has been saved or moved, this time included */
	uint32_t flags;		/* MOVE_BARRIERS */
	uint32_t reserved[3];	/* 0 */
};

#define MOVE_BARRIERS	1	/* barriers follow: if the stream ends early, the receiver starts from the last one */

/** struct move_zero - pages of zeros */
struct move_zero {
	uint64_t gpa;
	uint64_t bytes;
};

/** struct move_barrier - a complete state */
struct move_barrier {
	uint64_t seq;		/* numbered from 1 in the stream */
	uint32_t level;		/* of the guest that executed WBINVD; 0: drostectl made it */
	uint32_t reserved;	/* 0 */
};

/** struct move_serial - registers and FIFO of the serial port */
struct move_serial {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm, lsr_errors, msr_lines, msr_delta, thre_pending, irq_level;
	uint8_t rx_count;
	uint8_t reserved[3];	/* 0 */
	uint8_t rx[16];		/* the oldest byte first */
};

/** struct move_rtc - the real-time clock's memory */
struct move_rtc {
	uint8_t index;
	uint8_t reserved[7];	/* 0 */
	uint8_t cmos[128];
};

/** struct move_power - the ports of power management */
struct move_power {
	uint16_t pm1_enable, pm1_control;
	uint8_t reset_control;
	uint8_t reserved[3];	/* 0 */
};

#endif
