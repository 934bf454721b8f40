// SPDX-License-Identifier: GPL-2.0
/* Describes the failure of a virtual processor: reason, instruction, registers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fault.h"

/* A text that is built piece by piece and never overflows its buffer. */
struct text {
	char buf[768];
	size_t len;
};

static void __attribute__((format(printf, 2, 3)))
add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, sizeof(t->buf) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += n;
	if (t->len >= sizeof(t->buf))
		t->len = sizeof(t->buf) - 1;
}

static void add_bytes(struct text *t, const uint8_t *byte, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		add(t, " %02x", byte[i]);
}

static void add_registers(struct text *t, struct vcpu *vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (ioctl(vcpu->fd, KVM_GET_REGS, &r) ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &s)) {
		add(t, "registers cannot be read\n");
		return;
	}
	add(t, "rip %04x:%016llx rflags %08llx rsp %04x:%016llx\n",
	    s.cs.selector, r.rip, r.rflags, s.ss.selector, r.rsp);
	add(t, "rax %016llx rbx %016llx rcx %016llx rdx %016llx\n",
	    r.rax, r.rbx, r.rcx, r.rdx);
	add(t, "rsi %016llx rdi %016llx rbp %016llx r8  %016llx\n",
	    r.rsi, r.rdi, r.rbp, r.r8);
	add(t, "cr0 %08llx cr2 %016llx cr3 %012llx cr4 %08llx efer %04llx\n",
	    s.cr0, s.cr2, s.cr3, s.cr4, s.efer);
	add(t, "cs %llx/%x %s gdt %llx/%x idt %llx/%x tr %04x\n",
	    s.cs.base, s.cs.limit, s.cs.l ? "64-bit" : s.cs.db ? "32-bit" : "16-bit",
	    s.gdt.base, s.gdt.limit, s.idt.base, s.idt.limit, s.tr.selector);
}

/* Adds the instruction's bytes in guest memory, up to the end of its page. */
static void add_instruction(struct text *t, struct vcpu *vcpu)
{
	struct kvm_translation tr = { 0 };
	struct kvm_sregs s;
	struct kvm_regs r;
	const uint8_t *byte;
	uint64_t left;

	add(t, "; instruction at RIP:");
	if (ioctl(vcpu->fd, KVM_GET_REGS, &r) ||
	    ioctl(vcpu->fd, KVM_GET_SREGS, &s)) {
		add(t, " unknown");
		return;
	}
	tr.linear_address = s.cs.l ? r.rip : s.cs.base + r.rip;
	left = 4096 - (tr.linear_address & 4095);
	if (left > 15)
		left = 15;
	if (ioctl(vcpu->fd, KVM_TRANSLATE, &tr) || !tr.valid) {
		add(t, " not mapped");
		return;
	}
	byte = mem_at(vcpu->vm->mem, tr.physical_address, left);
	if (byte)
		add_bytes(t, byte, left);
	else
		add(t, " not in memory");
}

void fault_shutdown(struct vcpu *vcpu)
{
	struct text what = { .len = 0 }, regs = { .len = 0 };

	add_instruction(&what, vcpu);
	add_registers(&regs, vcpu);
	vm_end(vcpu->vm, RUN_TRIPLE_FAULT, 0, regs.buf,
	       "triple fault on CPU %u%s", vcpu->id, what.buf);
}

/* Whether the kernel supplied the bytes of the instruction it could not emulate. */
static bool has_insn_bytes(const struct kvm_run *run)
{
	return run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	       run->emulation_failure.ndata >= 3 &&
	       run->emulation_failure.flags &
	       KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
}

void fault_internal(struct vcpu *vcpu)
{
	static const char * const name[] = {
		[KVM_INTERNAL_ERROR_EMULATION] =
			"an instruction that cannot be emulated",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "exit during event delivery",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] =
			"unexpected exit reason",
	};
	struct text what = { .len = 0 }, regs = { .len = 0 };
	const struct kvm_run *run = vcpu->run;
	uint32_t sub = run->internal.suberror;
	uint32_t n = run->internal.ndata;

	if (sub < sizeof(name) / sizeof(name[0]) && name[sub])
		add(&what, " (%s)", name[sub]);
	add(&what, ", data:");
	for (uint32_t i = 0; i < n && i < 16; i++)
		add(&what, " %llx", run->internal.data[i]);
	if (!n)
		add(&what, " none");
	if (has_insn_bytes(run)) {
		uint8_t size = run->emulation_failure.insn_size;

		add(&what, "; instruction bytes:");
		add_bytes(&what, run->emulation_failure.insn_bytes,
			  size > 15 ? 15 : size);
	} else {
		add_instruction(&what, vcpu);
	}
	add_registers(&regs, vcpu);
	vm_end(vcpu->vm, RUN_INTERNAL_ERROR, 0, regs.buf,
	       "internal error on CPU %u: suberror %u%s", vcpu->id, sub,
	       what.buf);
}

/*
 * VMX reports a failed entry in one of two ways (SDM vol. 3C, 27.8 and 31.4):
 * as an exit reason with bit 31 set, or as a VM-instruction error.
 */
static const char *entry_failure(uint64_t reason)
{
	static const struct {
		uint32_t reason;
		const char *name;
	} known[] = {
		{ 0x80000021, "invalid guest state" },
		{ 0x80000022, "MSR loading" },
		{ 0x80000029, "machine check" },
		{ 4, "VMLAUNCH with a VMCS that is not clear" },
		{ 5, "VMRESUME with a VMCS that is not launched" },
		{ 7, "invalid control field" },
		{ 8, "invalid host-state field" },
		{ 26, "events blocked by MOV SS" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].reason == reason)
			return known[i].name;
	return "see VM-instruction errors and exit reasons in the SDM";
}

void fault_entry(struct vcpu *vcpu)
{
	uint64_t reason = vcpu->run->fail_entry.hardware_entry_failure_reason;
	struct text regs = { .len = 0 };

	add_registers(&regs, vcpu);
	vm_end(vcpu->vm, RUN_ENTRY_FAILED, 0, regs.buf,
	       "VM entry failed on CPU %u: hardware reason 0x%llx (%s), on host CPU %u",
	       vcpu->id, (unsigned long long)reason, entry_failure(reason),
	       vcpu->run->fail_entry.cpu);
}

void fault_unexpected(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	struct text what = { .len = 0 }, regs = { .len = 0 };

	add_registers(&regs, vcpu);
	if (run->exit_reason == KVM_EXIT_UNKNOWN)
		add(&what, ", hardware exit reason 0x%llx",
		    run->hw.hardware_exit_reason);
	add_instruction(&what, vcpu);
	vm_end(vcpu->vm, RUN_INTERNAL_ERROR, 0, regs.buf,
	       "exit reason %u on CPU %u is unknown to drostectl%s",
	       run->exit_reason, vcpu->id, what.buf);
}
