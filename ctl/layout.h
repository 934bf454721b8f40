/* SPDX-License-Identifier: GPL-2.0 */
/* The layout of the guest's physical address space and of its I/O bus. */
#ifndef DROSTECTL_LAYOUT_H
#define DROSTECTL_LAYOUT_H

/* Guest-physical addresses, in rising order. */
#define GPA_GDT		0x00001000ULL	/* boot GDT */
#define GPA_ZERO_PAGE	0x00002000ULL	/* struct boot_params */
#define GPA_PML4	0x00003000ULL	/* boot page tables: one PML4 table, */
#define GPA_PDPT	0x00004000ULL	/* one page-directory-pointer table, */
#define GPA_PD		0x00005000ULL	/* four page directories */
#define GPA_STACK_TOP	0x00010000ULL	/* boot stack, growing down */
#define GPA_CMDLINE	0x00020000ULL	/* kernel command line */
#define GPA_CMDLINE_END	0x00030000ULL
#define GPA_LOW_END	0x0009fc00ULL	/* end of conventional memory */
#define GPA_BIOS	0x000e0000ULL	/* firmware area: the ACPI tables */
#define GPA_SMBIOS	0x000f8000ULL	/* the same: SMBIOS, for a guest with a profile */
#define GPA_HIGH	0x00100000ULL	/* memory above 1 MiB starts here */
#define GPA_HOLE	0xc0000000ULL	/* memory below 4 GiB ends here */
#define GPA_IOAPIC	0xfec00000ULL
#define GPA_HPET	0xfed00000ULL	/* for a guest whose profile has the table */
#define GPA_LAPIC	0xfee00000ULL
#define GPA_IDENTITY	0xfffbc000ULL	/* KVM_SET_IDENTITY_MAP_ADDR: one page */
#define GPA_TSS		0xfffbd000ULL	/* KVM_SET_TSS_ADDR: three pages */
#define GPA_4G		0x100000000ULL

/* I/O ports. The kernel implements the 8259s, the 8254 and port 0x61. */
#define PORT_KBD	0x064		/* keyboard controller command */
#define PORT_RTC	0x070		/* CMOS index and data */
#define PORT_DEBUG_EXIT	0x0f4		/* a write ends the run */
#define PORT_MOVE	0x0f8		/* a write asks for the machine to be saved or moved */
#define PORT_COM1	0x3f8
#define PORT_PM1_EVT	0x600		/* ACPI PM1a status and enable */
#define PORT_PM1_CNT	0x604		/* ACPI PM1a control */
#define PORT_PM_TMR	0x608		/* ACPI's timer, for a guest with a profile */
#define PORT_RESET	0xcf9		/* PC reset control */

/* The rate of ACPI's timer (ACPI 6.4, 4.8.3.3). */
#define PM_TMR_HZ	3579545ULL

/* Interrupt lines. */
#define IRQ_COM1	4
#define IRQ_SCI		9

/* SLP_TYP of \_S5, used by the DSDT and by the PM1 control register. */
#define S5_SLP_TYP	5

#endif
