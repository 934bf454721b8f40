// SPDX-License-Identifier: GPL-2.0
/* The guest of the planted faults: its VMCS, its tables, and one entry. */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>
#include "plant.h"

#define PAGES 16
static u8 *pages[PAGES];
static unsigned int used;
u64 invvpid_type, invvpid_vpid;
static void *own_pml4, *other_region, *ept_pml4, *ept_pdpt, *ept_pd, *ept_pt, *own_idt;
static u8 stack[4096] __aligned(16);
static u32 revision;
static bool vmx_on, other_on;

u8 *scratch, *busy_vmcs;
void *shadow_vmcs, *vmxon_region, *vmcs;
u64 *guest_entry[5], *ept_entry[4];

#define CODE(name, text) \
	asm(".pushsection .text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n\t" \
	    "endbr64\n\t" text "\n1:\tvmcall\n\tjmp 1b\n.size " #name ", . - " #name "\n.popsection\n")

CODE(code_vmcall, "");
CODE(code_nop, "nop; nop");
CODE(code_load, "mov $0x40000000, %rax; mov (%rax), %rbx");
CODE(code_store, "mov $0x40000000, %rax; mov %rbx, (%rax)");
CODE(code_invlpg, "mov $0x40000000, %rax; mov (%rax), %rbx; invlpg (%rax)");
CODE(code_vmlaunch, "vmlaunch");
CODE(code_invvpid, "push $0x40000000; push invvpid_vpid(%rip); mov invvpid_type(%rip), %rcx; invvpid (%rsp), %rcx");
CODE(code_mov_cr3, "mov $0x40000000, %rax; mov (%rax), %rbx; mov %cr3, %rax; mov %rax, %cr3");

u64 physical(const void *address)
{
	return is_vmalloc_addr(address) || is_vmalloc_or_module_addr(address) ?
	       page_to_phys(vmalloc_to_page(address)) + offset_in_page(address) : virt_to_phys((void *)address);
}

void vm_write(u32 field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"((u64)field), "rm"(value) : "cc", "memory");
}

u64 vm_read(u32 field)
{
	u64 value = 0;

	asm volatile("vmread %1, %0" : "+r"(value) : "r"((u64)field) : "cc");
	return value;
}

void vm_set(u32 field, u64 bits)
{
	vm_write(field, vm_read(field) | bits);
}

void vm_clear(u32 field, u64 bits)
{
	vm_write(field, vm_read(field) & ~bits);
}

void vm_secondary(u32 bits)
{
	vm_set(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
	vm_set(SECONDARY_VM_EXEC_CONTROL, bits);
}

static void *page(void)
{
	if (used < PAGES)
		pages[used] = (u8 *)get_zeroed_page(GFP_KERNEL);
	return used < PAGES ? pages[used++] : NULL;
}

void vm_vmptrld(void *region)
{
	u64 address = physical(region);

	asm volatile("vmptrld %0" : : "m"(address) : "cc", "memory");
}

void vm_vmclear(void *region)
{
	u64 address = physical(region);

	asm volatile("vmclear %0" : : "m"(address) : "cc", "memory");
}

void vm_revision(void *region)
{
	*(u32 *)region = revision;
}

static bool on(void *region)
{
	u64 address = physical(region);
	bool bad;

	cr4_set_bits(X86_CR4_VMXE);
	asm volatile("vmxon %1" : "=@ccna"(bad) : "m"(address) : "memory");
	return !bad;
}

bool vm_on(void)
{
	return vmx_on = on(vmxon_region);
}

void vm_off(void)
{
	if (vmx_on)
		asm volatile("vmxoff" : : : "cc");
	vmx_on = false;
	cr4_clear_bits(X86_CR4_VMXE);
}

void vm_same_on(void)
{
	if (on(vmxon_region))
		asm volatile("vmxoff" : : : "cc");
}

void vm_other_on(void)
{
	other_on = on(other_region);
}

void vm_invept(void)
{
	u64 operand[2] = {};

	asm volatile("invept %0, %1" : : "m"(operand), "r"(2ul) : "cc", "memory");
}

void vm_invvpid(void)
{
	u64 operand[2] = {};

	asm volatile("invvpid %0, %1" : : "m"(operand), "r"(2ul) : "cc", "memory");
}

void vm_again(void *code)
{
	vm_vmclear(vmcs);
	vm_vmptrld(vmcs);
	vm_write(GUEST_RIP, (u64)code);
}

void vm_skip(void)
{
	u64 next = vm_read(GUEST_RIP) + vm_read(VM_EXIT_INSTRUCTION_LEN);

	vm_again((void *)next);
}

void vm_block_interrupts(bool block)
{
	asm volatile("mov %0, %%cr8" : : "r"(block ? 15ul : 0ul) : "memory");
}

void vm_timer(void)
{
	u64 misc;

	rdmsrl(MSR_IA32_VMX_MISC, misc);
	vm_set(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_VMX_PREEMPTION_TIMER);
	vm_write(VMX_PREEMPTION_TIMER_VALUE, TIMER_TICKS >> vmx_misc_preemption_timer_rate(misc));
}

/* The tables of the guest that map GUEST_LINEAR are four pages of their own; the rest are the host's. */
static void make_tables(void)
{
	void *table = own_pml4;
	int level;

	memcpy(own_pml4, phys_to_virt(__read_cr3() & PAGE_MASK), PAGE_SIZE);
	for (level = 4; level >= 1; level--) {
		void *next = level > 1 ? page() : scratch;

		guest_entry[level] = (u64 *)table + ((GUEST_LINEAR >> (12 + 9 * (level - 1))) & 511);
		*guest_entry[level] = physical(next) | 3;
		table = next;
	}
}

int vm_create(void)
{
	void **all[] = { &vmxon_region, &vmcs, &shadow_vmcs, &own_pml4, &ept_pml4, &ept_pdpt, &ept_pd, &ept_pt, &own_idt,
			 (void **)&scratch, (void **)&busy_vmcs, &other_region };
	unsigned int i;
	u64 basic;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		*all[i] = page();
		if (!*all[i])
			return -ENOMEM;
	}
	rdmsrl(MSR_IA32_VMX_BASIC, basic);
	revision = basic & 0x7fffffff;
	vm_revision(vmxon_region);
	vm_revision(other_region);
	make_tables();
	return vm_on() ? 0 : -EIO;
}

void vm_destroy(void)
{
	if (vmx_on)
		vm_vmclear(vmcs);
	vm_off();
	/* The other CPU still uses its pages. */
	while (used && !other_on)
		free_page((unsigned long)pages[--used]);
}

/* A control field with the bits that are wanted, those that must be set, and none that must not. */
static void control(u32 field, u32 msr, u32 wanted)
{
	u32 must, may;

	rdmsr(msr, must, may);
	vm_write(field, (wanted | must) & may);
}

static void write_controls(void)
{
	control(PIN_BASED_VM_EXEC_CONTROL, MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0);
	control(CPU_BASED_VM_EXEC_CONTROL, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0);
	vm_write(SECONDARY_VM_EXEC_CONTROL, 0);
	control(VM_EXIT_CONTROLS, MSR_IA32_VMX_TRUE_EXIT_CTLS,
		VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_LOAD_IA32_EFER | VM_EXIT_SAVE_DEBUG_CONTROLS);
	control(VM_ENTRY_CONTROLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS,
		VM_ENTRY_IA32E_MODE | VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_LOAD_DEBUG_CONTROLS);
	vm_write(EXCEPTION_BITMAP, ~0u);
	vm_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vm_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vm_write(CR3_TARGET_COUNT, 0);
	vm_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vm_write(VM_EXIT_MSR_LOAD_COUNT, 0);
	vm_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vm_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vm_write(CR0_GUEST_HOST_MASK, 0);
	vm_write(CR4_GUEST_HOST_MASK, 0);
	vm_write(VMCS_LINK_POINTER, ~0ull);
}

static u64 tr_base(const struct desc_ptr *gdt, u16 selector)
{
	const struct ldttss_desc *d = (void *)(gdt->address + selector);

	return d->base0 | (u64)d->base1 << 16 | (u64)d->base2 << 24 | (u64)d->base3 << 32;
}

static u64 msr(u32 index)
{
	u64 value;

	rdmsrl(index, value);
	return value;
}

/* What guest and host have in common: the guest field and the host field, and the value. */
static void both(u32 guest, u32 host, u64 value)
{
	vm_write(guest, value);
	vm_write(host, value);
}

static void write_segment(u32 number, u64 base, u32 limit, u32 rights)
{
	vm_write(GUEST_ES_BASE + 2 * number, base);
	vm_write(GUEST_ES_LIMIT + 2 * number, limit);
	vm_write(GUEST_ES_AR_BYTES + 2 * number, rights);
}

static void write_state(void)
{
	struct desc_ptr gdt, idt;
	u16 cs, ss, tr;
	u32 n;

	asm volatile("mov %%cs, %0; mov %%ss, %1; str %2" : "=r"(cs), "=r"(ss), "=r"(tr));
	asm volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	both(GUEST_CR0, HOST_CR0, read_cr0());
	both(GUEST_CR3, HOST_CR3, __read_cr3());
	both(GUEST_CR4, HOST_CR4, __read_cr4());
	both(GUEST_CS_SELECTOR, HOST_CS_SELECTOR, cs);
	both(GUEST_SS_SELECTOR, HOST_SS_SELECTOR, ss);
	both(GUEST_TR_SELECTOR, HOST_TR_SELECTOR, tr);
	for (n = 0; n < 6; n++)
		write_segment(n, 0, 0xffffffff, 0xc093);	/* data, DPL 0, 4 GiB */
	write_segment(1, 0, 0xffffffff, 0xa09b);		/* CS: 64-bit code */
	write_segment(6, 0, 0xffff, 0x10000);			/* LDTR: unusable */
	write_segment(7, 0, 0x67, 0x8b);			/* TR: a busy TSS */
	both(GUEST_TR_BASE, HOST_TR_BASE, tr_base(&gdt, tr));
	both(GUEST_FS_BASE, HOST_FS_BASE, msr(MSR_FS_BASE));
	both(GUEST_GS_BASE, HOST_GS_BASE, msr(MSR_GS_BASE));
	both(GUEST_GDTR_BASE, HOST_GDTR_BASE, gdt.address);
	both(GUEST_IDTR_BASE, HOST_IDTR_BASE, idt.address);
	vm_write(GUEST_GDTR_LIMIT, gdt.size);
	vm_write(GUEST_IDTR_LIMIT, idt.size);
	both(GUEST_SYSENTER_CS, HOST_IA32_SYSENTER_CS, (u32)msr(MSR_IA32_SYSENTER_CS));
	both(GUEST_SYSENTER_ESP, HOST_IA32_SYSENTER_ESP, msr(MSR_IA32_SYSENTER_ESP));
	both(GUEST_SYSENTER_EIP, HOST_IA32_SYSENTER_EIP, msr(MSR_IA32_SYSENTER_EIP));
	both(GUEST_IA32_EFER, HOST_IA32_EFER, msr(MSR_EFER));
	vm_write(GUEST_IA32_DEBUGCTL, 0);
	vm_write(GUEST_DR7, 0x400);
	vm_write(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	vm_write(GUEST_RSP, (u64)stack + sizeof(stack));
	vm_write(GUEST_RIP, (u64)code_vmcall);
	vm_write(GUEST_ACTIVITY_STATE, 0);
	vm_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vm_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
}

void vm_fill(void)
{
	write_controls();
	write_state();
}

void vm_reset(void)
{
	vm_vmclear(vmcs);
	vm_vmclear(shadow_vmcs);
	vm_vmclear(busy_vmcs);
	memset(vmcs, 0, PAGE_SIZE);
	memset(scratch, 0, PAGE_SIZE);
	memset(busy_vmcs, 0, PAGE_SIZE);
	vm_revision(vmcs);
	vm_revision(busy_vmcs);
	*(u32 *)shadow_vmcs = revision | BIT(31);
	vm_vmclear(vmcs);
	vm_vmptrld(vmcs);
	vm_invept();
	vm_invvpid();
	vm_fill();
}

/* Enters the guest. Returns EXITED or how the instruction failed. After an exit, CF and ZF are clear as after success. */
static noinline enum outcome launch(void)
{
	u8 invalid, valid;

	asm volatile("push %%rbp\n\t"
		     "vmwrite %%rsp, %[rsp_field]\n\t"
		     "lea 1f(%%rip), %%rax\n\t"
		     "vmwrite %%rax, %[rip_field]\n\t"
		     "vmlaunch\n"
		     "1:\tsetc %%al\n\t"
		     "setz %%cl\n\t"
		     "pop %%rbp"
		     : "=&a"(invalid), "=&c"(valid)
		     : [rsp_field]"d"((u64)HOST_RSP), [rip_field]"S"((u64)HOST_RIP)
		     : "rbx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
	return invalid ? FAIL_INVALID : valid ? FAIL_VALID : EXITED;
}

struct result vm_enter(void)
{
	struct desc_ptr gdt, idt;
	struct result r = {};
	u32 reason;

	/* An exit sets the limits of both tables to 64 KiB. */
	asm volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	r.outcome = launch();
	asm volatile("lgdt %0; lidt %1" : : "m"(gdt), "m"(idt));
	if (r.outcome == FAIL_VALID)
		r.number = vm_read(VM_INSTRUCTION_ERROR);
	if (r.outcome != EXITED)
		return r;
	reason = vm_read(VM_EXIT_REASON);
	r.outcome = reason & BIT(31) ? ENTRY_FAILED : EXITED;
	r.number = reason & 0xffff;
	r.qualification = vm_read(EXIT_QUALIFICATION);
	return r;
}

void vm_own_tables(void)
{
	int level;

	for (level = 1; level <= 4; level++)
		*guest_entry[level] |= 0x63;	/* present, writable, accessed, dirty */
	vm_write(GUEST_CR3, physical(own_pml4));
}

void vm_ept(bool with_ad, const void *read_only)
{
	u64 *pdpt = ept_pdpt, *pd = ept_pd, *pt = ept_pt, address = read_only ? physical(read_only) : 0;
	unsigned int i;

	((u64 *)ept_pml4)[0] = physical(ept_pdpt) | 7;
	for (i = 0; i < 512; i++) {
		pdpt[i] = (u64)i << 30 | 0xb7;		/* RWX, write-back, large */
		pd[i] = (address & ~((1ull << 30) - 1)) | (u64)i << 21 | 0xb7;
		pt[i] = (address & ~((1ull << 21) - 1)) | (u64)i << 12 | 0x37;
	}
	if (read_only) {
		pdpt[address >> 30] = physical(ept_pd) | 7;
		pd[(address >> 21) & 511] = physical(ept_pt) | 7;
		pt[(address >> 12) & 511] = (address & PAGE_MASK) | 0x31;	/* R */
	}
	ept_entry[3] = &pdpt[address >> 30];
	ept_entry[2] = &pd[(address >> 21) & 511];
	ept_entry[1] = &pt[(address >> 12) & 511];
	vm_write(EPT_POINTER, physical(ept_pml4) | VMX_EPTP_PWL_4 | VMX_EPTP_MT_WB | (with_ad ? VMX_EPTP_AD_ENABLE_BIT : 0));
	vm_secondary(SECONDARY_EXEC_ENABLE_EPT);
}

void vm_handler(void *code)
{
	gate_desc *idt = own_idt;
	unsigned int i;

	for (i = 0; i < 256; i++)
		idt[i] = (gate_desc){
			.offset_low = (u16)(u64)code, .offset_middle = (u16)((u64)code >> 16), .offset_high = (u64)code >> 32,
			.segment = __KERNEL_CS, .bits = { .type = GATE_INTERRUPT, .p = 1 },
		};
	vm_write(GUEST_IDTR_BASE, (u64)own_idt);
	vm_write(GUEST_IDTR_LIMIT, 0xfff);
	vm_write(EXCEPTION_BITMAP, 0);
}
