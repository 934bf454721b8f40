// SPDX-License-Identifier: GPL-2.0
/* Statistics files of VMs and vCPUs: their format, and that events are counted. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

#define MAX_SIZE	(1 << 20)

struct stats {
	int fd;
	struct kvm_stats_header h;
	u8 *descs;
	u64 *data;
	u64 bytes;	/* of data */
};

static struct kvm_stats_desc *desc(struct stats *s, u32 i)
{
	return (void *)(s->descs + i * (sizeof(struct kvm_stats_desc) + s->h.name_size));
}

static void check_desc(const struct kvm_stats_header *h, const struct kvm_stats_desc *d)
{
	u32 type = d->flags & KVM_STATS_TYPE_MASK, unit = d->flags & KVM_STATS_UNIT_MASK;

	OK(d->name[0] && strnlen(d->name, h->name_size) < h->name_size, "the name is terminated");
	OK(type <= KVM_STATS_TYPE_MAX && unit <= KVM_STATS_UNIT_MAX, "%s: flags %#x", d->name, d->flags);
	OK((d->flags & KVM_STATS_BASE_MASK) <= KVM_STATS_BASE_MAX, "%s: base", d->name);
	EQ(d->flags & ~(KVM_STATS_TYPE_MASK | KVM_STATS_UNIT_MASK | KVM_STATS_BASE_MASK), 0, "%s: other flags", d->name);
	if (unit == KVM_STATS_UNIT_SECONDS)
		OK(d->exponent <= 0, "%s: exponent %d", d->name, d->exponent);
	else if (unit == KVM_STATS_UNIT_BOOLEAN)
		OK(!d->exponent, "%s: exponent %d", d->name, d->exponent);
	else
		OK(d->exponent >= 0, "%s: exponent %d", d->name, d->exponent);
	OK(d->size, "%s: values", d->name);
	OK(!d->bucket_size == (type != KVM_STATS_TYPE_LINEAR_HIST), "%s: bucket size %u", d->name, d->bucket_size);
}

static void open_stats(struct stats *s, int fd)
{
	u64 size, end = 0;
	u32 i, j;

	memset(s, 0, sizeof(*s));
	if (ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD) == 0)
		ksft_skip("no statistics");
	s->fd = DO(fd, KVM_GET_STATS_FD, 0);
	EQ(pread(s->fd, &s->h, sizeof(s->h), 0), sizeof(s->h), "header");
	EQ(s->h.flags, 0, "flags");
	size = s->h.num_desc * (sizeof(struct kvm_stats_desc) + s->h.name_size);
	MUST(s->h.num_desc && size < MAX_SIZE, "%u descriptors of names of %u bytes", s->h.num_desc, s->h.name_size);
	OK(s->h.id_offset >= sizeof(s->h) && s->h.desc_offset >= s->h.id_offset + s->h.name_size &&
	   s->h.data_offset >= s->h.desc_offset + size, "the parts of the file do not overlap");
	s->descs = malloc(size);
	EQ(pread(s->fd, s->descs, size, s->h.desc_offset), size, "descriptors");
	for (i = 0; i < s->h.num_desc; i++) {
		check_desc(&s->h, desc(s, i));
		OK(!(desc(s, i)->offset % 8), "%s: offset", desc(s, i)->name);
		if (end < desc(s, i)->offset + desc(s, i)->size * 8)
			end = desc(s, i)->offset + desc(s, i)->size * 8;
		for (j = 0; j < i; j++)
			OK(strcmp(desc(s, i)->name, desc(s, j)->name), "%s: unique name", desc(s, i)->name);
	}
	s->bytes = end;
	MUST(end && end < MAX_SIZE, "data");
	s->data = malloc(end);
}

static void close_stats(struct stats *s)
{
	close(s->fd);
	free(s->descs);
	free(s->data);
}

/* The current value of element @n of a statistic. */
static u64 stat_at(struct stats *s, const char *name, u32 n)
{
	u32 i;

	EQ(pread(s->fd, s->data, s->bytes, s->h.data_offset), s->bytes, "data");
	for (i = 0; i < s->h.num_desc; i++)
		if (!strcmp(desc(s, i)->name, name))
			return s->data[desc(s, i)->offset / 8 + n];
	ksft_skip("no statistic %s", name);
}

static u64 stat(struct stats *s, const char *name)
{
	return stat_at(s, name, 0);
}

/* --- the file --- */

static void check_file(int fd, const char *suffix)
{
	struct stats s;
	char id[256];
	u8 *whole = malloc(MAX_SIZE);
	void *volatile nowhere = (void *)8;
	u64 all;

	open_stats(&s, fd);
	MUST(s.h.name_size <= sizeof(id), "name size");
	EQ(pread(s.fd, id, s.h.name_size, s.h.id_offset), s.h.name_size, "name");
	OK(!strncmp(id, "kvm-", 4) && strnlen(id, s.h.name_size) < s.h.name_size, "name");
	if (suffix)
		OK(strstr(id, suffix), "the name contains the vCPU: %s", id);
	all = pread(s.fd, whole, MAX_SIZE, 0);
	MUST(all >= s.h.data_offset + s.bytes && all <= MAX_SIZE, "the whole file at once");
	OK(!memcmp(whole, &s.h, sizeof(s.h)) && !strcmp((char *)whole + s.h.id_offset, id), "the same header and name");
	OK(!memcmp(whole + s.h.desc_offset, s.descs, s.h.num_desc * (sizeof(struct kvm_stats_desc) + s.h.name_size)),
	   "the same descriptors");
	EQ(pread(s.fd, whole, MAX_SIZE, all - 3), 3, "the last bytes");
	EQ(pread(s.fd, whole, 1, all), 0, "at the end");
	EQ(pread(s.fd, whole, 1, all + 1000), 0, "behind it");
	EQ(pread(s.fd, nowhere, 8, 0), -1, "a buffer that cannot be written");
	EQ(errno, EFAULT, "errno");
	EQ(read(s.fd, whole, 4), 4, "without an offset");
	EQ(write(s.fd, whole, 8), -1, "the file is read-only");
	EQ(errno, EBADF, "errno");
	EQ(fcntl(s.fd, F_GETFL) & O_ACCMODE, O_RDONLY, "the file is read-only");
	close_stats(&s);
	free(whole);
}

static void guest_end(void)
{
}

static void host_form(void)
{
	struct vm vm;
	struct vcpu *v0, *v1;

	vm_create(&vm, 0);
	v0 = vcpu_create(&vm, 0, guest_end);
	v1 = vcpu_create(&vm, 1, guest_end);
	check_file(vm.fd, NULL);
	check_file(v0->fd, "/vcpu-0");
	check_file(v1->fd, "/vcpu-1");
	vm_destroy(&vm);
}

/* The file keeps its VM or vCPU alive. */
static void host_outlives(void)
{
	struct stats of_vm, of_vcpu;
	struct vm vm;
	struct vcpu *vcpu;
	u64 exits;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_end);
	vcpu_run_to_end(vcpu);
	open_stats(&of_vm, vm.fd);
	open_stats(&of_vcpu, vcpu->fd);
	exits = stat(&of_vcpu, "exits");
	OK(exits, "exits are counted");
	vm_destroy(&vm);
	EQ(stat(&of_vcpu, "exits"), exits, "after the VM was closed");
	stat(&of_vm, "remote_tlb_flush");
	close_stats(&of_vm);
	close_stats(&of_vcpu);
}

/* --- the counters --- */

#define TIMES	10

static void guest_exits(void)
{
	u64 i;

	g_sync(1);
	for (i = 0; i < TIMES; i++)
		outb(0x80, i);
	for (i = 0; i < TIMES; i++)
		*(volatile u8 *)(MMIO_HOLE + i) = i;
	g_sync(2);
}

static void host_counts(void)
{
	struct stats s;
	struct vm vm;
	struct vcpu *vcpu;
	u64 exits, io, mmio, n = 0;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_exits);
	vcpu_run_to_sync(vcpu, 1);
	open_stats(&s, vcpu->fd);
	exits = stat(&s, "exits");
	io = stat(&s, "io_exits");
	mmio = stat(&s, "mmio_exits");
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_NONE)
		n++;
	EQ(n, 2 * TIMES, "exits to user space");
	EQ(stat(&s, "io_exits") - io, TIMES + 1, "port exits, including the last sync");
	EQ(stat(&s, "mmio_exits") - mmio, TIMES, "MMIO exits");
	OK(stat(&s, "exits") - exits >= 2 * TIMES + 1, "exits");
	EQ(stat(&s, "guest_mode"), 0, "L1 runs");
	n = stat(&s, "signal_exits");
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN");
	OK(stat(&s, "signal_exits") - n <= 1, "signal exits");
	close_stats(&s);
	vm_destroy(&vm);
}

static volatile u64 irqs;

static void on_irq(struct trap_regs *r)
{
	irqs++;
	apic_eoi();
}

static void guest_irqs(void)
{
	u64 i;

	apic_enable();
	g_trap_fn[0x40] = on_irq;
	g_sync(1);
	for (i = 0; i < TIMES; i++) {
		apic_icr(0, 0x40040);	/* to itself */
		sti_nop_cli();
	}
	G_EQ(irqs, TIMES, "interrupts");
	/* An interrupt that arrives while the vCPU waits: HLT is not prevented. */
	apic_write(APIC_LVTT, 0x40);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_TMICT, 1000000);
	sti_hlt_cli();
	G_EQ(irqs, TIMES + 1, "the timer");
	g_sync(2);
}

static void host_irqs(void)
{
	struct stats s;
	struct vm vm;
	struct vcpu *vcpu;
	u64 irq, hlt;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_irqs);
	vcpu_run_to_sync(vcpu, 1);
	open_stats(&s, vcpu->fd);
	irq = stat(&s, "irq_injections");
	hlt = stat(&s, "halt_exits");
	vcpu_run_to_sync(vcpu, 2);
	/* KVM counts an interrupted injection twice, and does not count interrupts delivered by APICv. */
	if (device_path()[5] == 'd')
		EQ(stat(&s, "irq_injections") - irq, TIMES + 1, "interrupts injected");
	OK(stat(&s, "halt_exits") - hlt <= 1, "HLT");
	EQ(stat(&s, "blocking"), 0, "the vCPU does not sleep");
	close_stats(&s);
	vm_destroy(&vm);
}

static void l2_cpuid(void)
{
	for (;;)
		cpuid(0, 0, &(u32){ 0 }, &(u32){ 0 }, &(u32){ 0 }, &(u32){ 0 });
}

static void guest_nested(void)
{
	u64 i;

	vmcs_new(l2_cpuid);
	g_sync(1);
	for (i = 0; i < TIMES; i++) {
		vmx_expect(R_CPUID, "CPUID");
		vmx_skip();
	}
	g_sync(2);
}

static void host_nested(void)
{
	struct stats s;
	struct vm vm;
	struct vcpu *vcpu;
	u64 runs, shown = 0;
	bool droste = device_path()[5] == 'd';

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_nested);
	vcpu_run_to_sync(vcpu, 1);
	open_stats(&s, vcpu->fd);
	runs = stat(&s, "nested_run");
	if (droste)
		shown = stat(&s, "l2_exits_reflected");
	vcpu_run_to_sync(vcpu, 2);
	EQ(stat(&s, "nested_run") - runs, TIMES, "VM entries of L1");
	EQ(stat(&s, "guest_mode"), 0, "L1 runs");
	if (droste) {
		EQ(stat(&s, "l2_exits_reflected") - shown, TIMES, "exits reflected to L1");
		EQ(stat_at(&s, "l2_exits_reflected_by_reason", R_CPUID), TIMES, "CPUID exits reflected to L1");
		OK(stat_at(&s, "exits_by_reason", R_CPUID) >= TIMES, "CPUID exits in total");
	}
	close_stats(&s);
	vm_destroy(&vm);
}

/* --- pages by size --- */

#define LARGE		0x200000ul
#define LARGE_PAGES	4
#define LARGE_AT	0x50000000ul

static void guest_touch(void)
{
	u64 i;

	for (;;) {
		for (i = 0; i < LARGE_PAGES * LARGE; i += 4096)
			*(volatile u64 *)(LARGE_AT + i) += 1;
		g_sync(1);
	}
}

/* Memory backed by large pages, if the host has them. */
static void *large_memory(void)
{
	u8 *p = mmap(NULL, (LARGE_PAGES + 1) * LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	p = (u8 *)(((uintptr_t)p + LARGE - 1) & -LARGE);
	madvise(p, LARGE_PAGES * LARGE, MADV_HUGEPAGE);
	memset(p, 1, LARGE_PAGES * LARGE);
	return p;
}

/* Dirty logging splits large pages; afterwards they are mapped as large pages again. */
static void host_pages(void)
{
	void *mem = large_memory();
	struct stats s;
	struct vm vm;
	struct vcpu *vcpu;
	u64 large, small;

	vm_create(&vm, 0);
	vm_slot(&vm, 1, 0, LARGE_AT, LARGE_PAGES * LARGE, mem);
	vcpu = vcpu_create(&vm, 0, guest_touch);
	open_stats(&s, vm.fd);
	EQ(stat(&s, "pages_4k") + stat(&s, "pages_2m") + stat(&s, "pages_1g"), 0, "nothing is mapped yet");
	vcpu_run_to_sync(vcpu, 1);
	large = stat(&s, "pages_2m");
	small = stat(&s, "pages_4k");
	if (large < LARGE_PAGES)
		ksft_skip("no large pages");
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LARGE_AT, LARGE_PAGES * LARGE, mem);
	EQ(stat(&s, "pages_2m"), large - LARGE_PAGES, "large pages after logging is enabled");
	EQ(stat(&s, "pages_4k"), small + LARGE_PAGES * 512, "small pages");
	vcpu_run_to_sync(vcpu, 1);
	EQ(stat(&s, "pages_2m"), large - LARGE_PAGES, "large pages after all pages were written");
	vm_slot(&vm, 1, 0, LARGE_AT, LARGE_PAGES * LARGE, mem);
	vcpu_run_to_sync(vcpu, 1);
	EQ(stat(&s, "pages_2m"), large, "large pages after logging is disabled");
	small = stat(&s, "pages_4k");
	/* The host reclaims one large page. */
	madvise(mem, LARGE, MADV_DONTNEED);
	EQ(stat(&s, "pages_2m"), large - 1, "large pages without the reclaimed one");
	EQ(stat(&s, "pages_4k"), small, "small pages");
	vm_slot(&vm, 1, 0, LARGE_AT, 0, mem);
	OK(stat(&s, "pages_2m") <= large - LARGE_PAGES, "large pages after the slot was deleted");
	EQ(stat(&s, "pages_1g"), 0, "pages of 1 GiB");
	close_stats(&s);
	vm_destroy(&vm);
}

#define HOLE	0x7000000	/* not mapped by EPT12 */

static void l2_hole(void)
{
	*(volatile u64 *)HOLE;
}

static void guest_ept(void)
{
	u64 i, eptp;

	vmcs_new(l2_hole);
	eptp = ept_new();
	ept_use(eptp);
	*ept_entry(eptp, HOLE, 1) = 0;
	/* L2 repeats the access, as RIP is not moved. */
	for (i = 0; i < TIMES; i++)
		vmx_expect(R_EPT_VIOLATION, "a page that EPT12 does not map");
	g_sync(1);
}

static void host_ept(void)
{
	struct stats s;
	struct vm vm;
	struct vcpu *vcpu;
	u64 all;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	if (device_path()[5] != 'd')
		ksft_skip("KVM does not distinguish them");
	vcpu = vcpu_create(&vm, 0, guest_ept);
	vcpu_run_to_sync(vcpu, 1);
	open_stats(&s, vcpu->fd);
	all = stat_at(&s, "l2_exits_by_reason", R_EPT_VIOLATION);
	EQ(stat_at(&s, "l2_exits_reflected_by_reason", R_EPT_VIOLATION), TIMES, "EPT violations reflected to L1");
	/* L0 handled the violations that were due to missing entries in EPT02. */
	OK(all > TIMES, "EPT violations of L2 in total: %lu", all);
	close_stats(&s);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "format of the files", .host = host_form },
	{ "a file outlives its VM's descriptors", .host = host_outlives },
	{ "exits are counted", .host = host_counts },
	{ "interrupts and HLT are counted", .host = host_irqs },
	{ "pages are counted by size", .host = host_pages },
	{ "nested entries and exits are counted", .host = host_nested },
	{ "EPT violations are counted by handler", .host = host_ept },
};
KSFT_MAIN(tests)
