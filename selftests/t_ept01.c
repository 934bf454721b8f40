// SPDX-License-Identifier: GPL-2.0
/*
 * EPT01's entries as the processor reads them: memory types, and large pages without the right to execute. The EPT pointer
 * comes from a probe of the function that invalidates its translations, the tables from /proc/kcore.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest.h"
#include "tracefs.h"
#include "vm.h"

#define AT	0x20000000ul		/* the slot of the test */
#define LARGE	0x200000ul

#define E_RWX	7ul
#define E_X	BIT(2)
#define E_LEAF	BIT(7)
#define E_TYPE(e)	((e) >> 3 & 7)
#define E_IPAT	BIT(6)
#define E_ADDR	0xffffffffff000ul
#define WB	6

#ifndef KVM_X86_QUIRK_IGNORE_GUEST_PAT
#define KVM_X86_QUIRK_IGNORE_GUEST_PAT	BIT(9)
#endif

static volatile u64 ask, ask_call;

/* On each request the guest reads an address, or calls the code there. */
static void guest_asked(void)
{
	for (;;) {
		if (ask_call)
			((void (*)(void))ask)();
		else
			(void)*(volatile u64 *)ask;
		g_sync(1);
	}
}

static void asked(struct vcpu *vcpu, u64 address, bool call)
{
	GUEST(vcpu->vm, ask) = address;
	GUEST(vcpu->vm, ask_call) = call;
	vcpu_run_to_sync(vcpu, 1);
}

/* --- the kernel's memory --- */

/* The last EPT pointer in the trace; 0 if there is none. */
static u64 traced_eptp(void)
{
	FILE *f = fopen(TRACING "/trace", "r");
	unsigned long long eptp = 0;
	char line[512], *at;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "eptp=");
		if (at)
			sscanf(at, "eptp=%llx", &eptp);
	}
	if (f)
		fclose(f);
	return eptp;
}

/* The VM's EPT pointer: the host drops a page that the guest has used, and the vCPU invalidates. */
static u64 find_eptp(struct vcpu *vcpu)
{
	u64 eptp;

	if (trace_write("kprobe_events", "p:droste_test/eptp droste:vmx_invept_single eptp=%di:x64\n", O_APPEND))
		ksft_skip("no probe of the module");
	trace_write("trace", "\n", O_TRUNC);
	trace_write("events/droste_test/eptp/enable", "1", 0);
	asked(vcpu, HEAP, false);
	madvise(vcpu->vm->mem + HEAP, 4096, MADV_DONTNEED);
	asked(vcpu, HEAP, false);
	trace_write("events/droste_test/eptp/enable", "0", 0);
	eptp = traced_eptp();
	trace_write("kprobe_events", "-:droste_test/eptp\n", O_APPEND);
	MUST(eptp, "an EPT pointer in the trace");
	return eptp;
}

/* 8 bytes of physical memory */
static u64 read_physical(u64 address)
{
	int fd = open("/proc/kcore", O_RDONLY), i;
	Elf64_Ehdr head;
	Elf64_Phdr p;
	u64 value;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head))
		ksft_skip("no /proc/kcore");
	for (i = 0; i < head.e_phnum; i++) {
		MUST(pread(fd, &p, sizeof(p), head.e_phoff + i * sizeof(p)) == sizeof(p), "a program header");
		if (p.p_type != PT_LOAD || p.p_paddr == ~0ul || address < p.p_paddr || address - p.p_paddr >= p.p_memsz)
			continue;
		MUST(pread(fd, &value, 8, p.p_offset + (address - p.p_paddr)) == 8, "/proc/kcore: %s", strerror(errno));
		close(fd);
		return value;
	}
	ksft_skip("the tables are not in /proc/kcore");
}

/* The entry that maps an address, and its level; 0 if there is none. */
static u64 leaf_of(u64 eptp, u64 gpa, int *level)
{
	u64 entry = eptp;

	for (*level = 4; *level; --*level) {
		entry = read_physical((entry & E_ADDR) + (gpa >> (3 + 9 * *level) & 511) * 8);
		if (!(entry & E_RWX))
			return 0;
		if (*level == 1 || entry & E_LEAF)
			return entry;
	}
	return 0;
}

/* --- memory types --- */

static void memory_type(bool quirk)
{
	struct vcpu *vcpu;
	u64 eptp, entry;
	struct vm vm;
	int level;

	vm_create(&vm, 0);
	if (!quirk && vm_enable_cap(&vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_IGNORE_GUEST_PAT)) {
		ksft_diag("the quirk cannot be disabled here");
		vm_destroy(&vm);
		return;
	}
	vcpu = vcpu_create(&vm, 0, guest_asked);
	eptp = find_eptp(vcpu);
	entry = leaf_of(eptp, HEAP, &level);
	OK(entry, "the page is mapped");
	EQ(E_TYPE(entry), WB, "memory type");
	EQ(!!(entry & E_IPAT), quirk, "the guest's PAT is ignored");
	vm_destroy(&vm);
}

/*
 * Memory is write-back whatever the guest's PAT says, as the host maps it: two types for one page are not coherent on all
 * processors. User space can let the guest's PAT decide (KVM_X86_QUIRK_IGNORE_GUEST_PAT).
 */
static void host_memory_type(void)
{
	memory_type(true);
	memory_type(false);
}

/* --- large pages --- */

static bool large_pages_split(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/vulnerabilities/itlb_multihit", "r");
	char line[128] = "";

	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return strstr(line, "Split huge pages");
}

/* On a processor whose instruction TLB a guest could confuse, code is executed from 4-KiB pages only (CVE-2018-12207). */
static void host_large_exec(void)
{
	u64 size = 2 * LARGE, eptp, entry;
	u8 *raw = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u8 *p = (u8 *)(((u64)raw + LARGE - 1) & ~(LARGE - 1));
	bool split = large_pages_split();
	struct vcpu *vcpu;
	struct vm vm;
	int level;

	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0xc3, size);			/* RET */
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_asked);
	vm_slot(&vm, 1, 0, AT, size, p);
	eptp = find_eptp(vcpu);
	asked(vcpu, AT, false);
	asked(vcpu, AT + LARGE, false);
	entry = leaf_of(eptp, AT, &level);
	if (level != 2)
		ksft_skip("the host has no large page");
	EQ(!!(entry & E_X), !split, "a large page that the guest has read is executable");
	asked(vcpu, AT + 0x3000, true);
	entry = leaf_of(eptp, AT + 0x3000, &level);
	EQ(level, split ? 1 : 2, "level of the page with code");
	OK(entry & E_X, "the page with code is executable");
	entry = leaf_of(eptp, AT + LARGE, &level);
	EQ(level, 2, "level of the page without code");
	EQ(!!(entry & E_X), !split, "the page without code is executable");
	asked(vcpu, AT, false);
	ksft_diag(split ? "large pages are split" : "large pages are executable");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "memory types", .host = host_memory_type },
	{ "the right to execute from large pages", .host = host_large_exec },
};
KSFT_MAIN(tests)
