/* SPDX-License-Identifier: GPL-2.0 */
/* The layout of a guest's memory, and the format of calls from guest to host. */
#ifndef LAYOUT_H
#define LAYOUT_H

#define MEM_SIZE	0x2000000ul	/* slot 0: [0, 32 MiB), identity mapped */
#define LOW_CODE	0x8000ul	/* code for real mode goes here; SIPI vector 8 */
#define CPU_TABLES	0x100000ul	/* for each vCPU, CPU_TABLES_SIZE: GDT, IDT, TSS */
#define CPU_TABLES_SIZE	0x4000ul
#define OFF_IDT		0x1000ul
#define OFF_TSS		0x2000ul
#define PAGE_TABLES	0x200000ul	/* PML4, PDPT, four page directories: 4 GiB */
#define STACKS		0x300000ul	/* for each vCPU, STACK_SIZE: half for CPL 0, a quarter for RSP0 and for CPL 3 */
#define STACK_SIZE	0x10000ul
/* The program itself is linked at 4 MiB. */
#define HEAP		0x1000000ul	/* g_page() takes pages from here on */
#define HEAP_END	MEM_SIZE
#define MMIO_HOLE	0x10000000ul	/* no memory: accesses are MMIO exits */

/* Selectors. */
#define SEL_CS64	0x08
#define SEL_DS		0x10
#define SEL_UCS32	0x1b
#define SEL_UDS		0x23
#define SEL_UCS64	0x2b
#define SEL_CS32	0x30
#define SEL_TSS		0x38
#define SEL_CS16	0x48
#define SEL_DS16	0x50

/* A guest calls the host with a 32-bit OUT of the address of a struct gcall to this port. */
#define GCALL_PORT	0xd05

#ifndef __ASSEMBLER__
#include <stdint.h>

enum gcall_kind {
	GCALL_NONE,
	GCALL_DONE,	/* the guest function returned */
	GCALL_SYNC,	/* args: defined by the test */
	GCALL_EQ,	/* args: got, want; a failed check */
	GCALL_ABORT,	/* a failed check after which the guest cannot continue */
	GCALL_SKIP,	/* text: the reason */
	GCALL_TRAP,	/* args: vector, error code, RIP, CR2 of an unexpected exception */
	GCALL_DIAG,	/* text and args */
};

struct gcall {
	uint64_t kind;
	uint64_t args[4];
	const char *text, *file;
	uint64_t line;
};
#endif

#endif
