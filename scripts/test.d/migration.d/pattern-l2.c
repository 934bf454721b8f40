// SPDX-License-Identifier: GPL-2.0
/* Runs a function of pattern.c as an L2, which has all of L1's memory through EPT and causes no exit to L1. */
#include <stdint.h>

extern uint8_t stack2_end[], l1_exit[];
void run_l2(void (*fn)(void));
void unexpected_exit(void);

/* SDM 3D appendix B. */
enum {
	GUEST_CS = 0x802, HOST_ES = 0xc00, EPT_POINTER = 0x201a, LINK_POINTER = 0x2800,
	PIN = 0x4000, PROC = 0x4002, EXIT = 0x400c, ENTRY = 0x4012, PROC2 = 0x401e,
	ES_LIMIT = 0x4800, GDTR_LIMIT = 0x4810, IDTR_LIMIT = 0x4812, ES_RIGHTS = 0x4814,
	CR0 = 0x6800, CR3 = 0x6802, CR4 = 0x6804, ES_BASE = 0x6806, GDTR_BASE = 0x6816, DR7 = 0x681a, RSP = 0x681c, RIP = 0x681e,
	RFLAGS = 0x6820, HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04, HOST_GDTR = 0x6c0c, HOST_RSP = 0x6c14, HOST_RIP = 0x6c16,
};

#define PROC_SECONDARY	(1u << 31)
#define PROC2_EPT	(1u << 1)
#define EXIT_LONG	(1u << 9)
#define ENTRY_LONG	(1u << 9)

static uint64_t vmxon_page[512] __attribute__((aligned(4096)));
static uint64_t vmcs_page[512] __attribute__((aligned(4096)));
static uint64_t ept[2][512] __attribute__((aligned(4096)));
static uint64_t ept_directory[512] __attribute__((aligned(4096)));
static uint64_t ept_table[512] __attribute__((aligned(4096)));

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a" (low), "=d" (high) : "c" (msr));
	return (uint64_t)high << 32 | low;
}

static void vmwrite(uint64_t field, uint64_t value)
{
	asm volatile("vmwrite %1, %0" : : "r" (field), "r" (value) : "cc");
}

static uint64_t read_cr(int n)
{
	uint64_t value;

	if (n == 0)
		asm volatile("mov %%cr0, %0" : "=r" (value));
	else if (n == 3)
		asm volatile("mov %%cr3, %0" : "=r" (value));
	else
		asm volatile("mov %%cr4, %0" : "=r" (value));
	return value;
}

/* The bits of a control that must be 1, and those wanted. */
static uint64_t control(uint32_t msr, uint32_t wanted)
{
	return (uint32_t)rdmsr(msr) | wanted;
}

/* L1's first 2 MiB, all that it has, by pages of 4 KiB; what lies above, by pages of 2 MiB. */
static void make_ept(void)
{
	ept[0][0] = (uint64_t)ept[1] | 7;
	ept[1][0] = (uint64_t)ept_directory | 7;
	ept_directory[0] = (uint64_t)ept_table | 7;
	for (uint64_t i = 1; i < 512; i++)
		ept_directory[i] = i << 21 | 0xb7;
	for (uint64_t i = 0; i < 512; i++)
		ept_table[i] = i << 12 | 0x37;
}

static void set_guest(void (*fn)(void))
{
	/* ES, CS, SS, DS, FS, GS, LDTR, TR */
	static const uint16_t selectors[] = { 0x18, 0x10, 0x18, 0x18, 0, 0, 0, 0 };
	static const uint32_t rights[] = { 0xc093, 0xa09b, 0xc093, 0xc093, 0x10000, 0x10000, 0x10000, 0x8b };

	for (uint32_t i = 0; i < 8; i++) {
		vmwrite(GUEST_CS - 2 + 2 * i, selectors[i]);
		vmwrite(ES_LIMIT + 2 * i, i == 7 ? 0x67 : 0xffffffff);
		vmwrite(ES_RIGHTS + 2 * i, rights[i]);
		vmwrite(ES_BASE + 2 * i, 0);
	}
	vmwrite(GDTR_BASE, 0x1000);
	vmwrite(GDTR_LIMIT, 31);
	vmwrite(IDTR_LIMIT, 0);
	vmwrite(CR0, read_cr(0));
	vmwrite(CR3, read_cr(3));
	vmwrite(CR4, read_cr(4));
	vmwrite(DR7, 0x400);
	vmwrite(RSP, (uint64_t)stack2_end - 8);
	vmwrite(RIP, (uint64_t)fn);
	vmwrite(RFLAGS, 2);
	vmwrite(LINK_POINTER, ~0ull);
}

static void set_host(void)
{
	static const uint16_t selectors[] = { 0x18, 0x10, 0x18, 0x18, 0, 0, 0x18 };	/* ES, CS, SS, DS, FS, GS, TR */

	for (uint32_t i = 0; i < 7; i++)
		vmwrite(HOST_ES + 2 * i, selectors[i]);
	vmwrite(HOST_CR0, read_cr(0));
	vmwrite(HOST_CR3, read_cr(3));
	vmwrite(HOST_CR4, read_cr(4));
	vmwrite(HOST_GDTR, 0x1000);
	vmwrite(HOST_RSP, (uint64_t)stack2_end);
	vmwrite(HOST_RIP, (uint64_t)l1_exit);
}

void run_l2(void (*fn)(void))
{
	uint64_t at;

	asm volatile("mov %0, %%cr4" : : "r" (read_cr(4) | 1 << 13));
	asm volatile("mov %0, %%cr0" : : "r" (read_cr(0) | rdmsr(0x486)));
	vmxon_page[0] = (uint32_t)rdmsr(0x480) & 0x7fffffff;
	vmcs_page[0] = vmxon_page[0];
	at = (uint64_t)vmxon_page;
	asm volatile("vmxon %0" : : "m" (at) : "cc");
	at = (uint64_t)vmcs_page;
	asm volatile("vmclear %0" : : "m" (at) : "cc");
	asm volatile("vmptrld %0" : : "m" (at) : "cc");
	make_ept();
	vmwrite(PIN, control(0x48d, 0));
	vmwrite(PROC, control(0x48e, PROC_SECONDARY));
	vmwrite(PROC2, control(0x48b, PROC2_EPT));
	vmwrite(EXIT, control(0x48f, EXIT_LONG));
	vmwrite(ENTRY, control(0x490, ENTRY_LONG));
	vmwrite(EPT_POINTER, (uint64_t)ept[0] | 0x1e);
	set_guest(fn);
	set_host();
	asm volatile("vmlaunch" : : : "cc", "memory");
	unexpected_exit();
}
