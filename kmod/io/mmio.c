// SPDX-License-Identifier: GPL-2.0
/* Memory-mapped I/O of one instruction: in-kernel devices first, then user space, one fragment at a time. */
#include "droste.h"
#include "emul/emul.h"
#include "io/bus.h"
#include "io/emulate_state.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/regs.h"

/**
 * emul_mmio_ask() - prepare an exit to user space for the data of a read
 * @es: the emulator's state; the last of its reads[] is the read
 * @gpa: guest-physical address
 * @len: 1 to 8 bytes
 *
 * Context: Process context.
 */
void emul_mmio_ask(struct emul_state *es, gpa_t gpa, u32 len)
{
	struct kvm_run *run = es->vcpu->run;

	es->vcpu->stats.mmio_exits++;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = gpa;
	run->mmio.len = len;
	run->mmio.is_write = 0;
	trace_droste_mmio(es->vcpu, TRACE_MMIO_ASKED, gpa, len, NULL);
	es->pending = EMUL_PENDING_MMIO_READ;
}

static int mmio_read_fragment(struct emul_state *es, gpa_t gpa, void *data, u32 len)
{
	struct mmio_frag *f = &es->reads[es->next_read];
	bool known = es->next_read < es->nr_reads && f->gpa == gpa && f->len == len;

	if (!known) {
		if (es->next_read >= EMUL_MAX_FRAGS)
			return EMUL_UNKNOWN;
		/*
		 * This read has no answer yet, or the guest has changed its page tables
		 * since and reads another address: the answers from here on are void.
		 */
		es->nr_reads = es->next_read + 1;
		*f = (struct mmio_frag) { .gpa = gpa, .len = len };
		if (!irqchip_mmio(es->vcpu, gpa, len, f->data, false)) {
			emul_mmio_ask(es, gpa, len);
			return EMUL_EXIT;
		}
		trace_droste_mmio(es->vcpu, TRACE_MMIO_READ, gpa, len, f->data);
	}
	es->next_read++;
	memcpy(data, f->data, len);
	return EMUL_DONE;
}

/**
 * emul_mmio_read() - read MMIO for the emulated instruction
 * @es: the emulator's state
 * @gpa: guest-physical address
 * @data: filled
 * @len: number of bytes, all in one page without memory
 *
 * Context: Process context. May sleep. The vCPU is loaded; caller holds
 * vm->srcu for reading.
 * Return: enum emul_result; EMUL_EXIT if user space must answer first.
 */
int emul_mmio_read(struct emul_state *es, gpa_t gpa, void *data, u32 len)
{
	u32 n;
	int r;

	/* reads[] holds the answers of one iteration only, so a REP returns to the guest after this one. */
	es->ctx.stop = true;
	for (; len; len -= n, gpa += n, data += n) {
		n = min(len, 8U);
		r = mmio_read_fragment(es, gpa, data, n);
		if (r != EMUL_DONE)
			return r;
	}
	return EMUL_DONE;
}

/* Give the write to a device in the kernel that is no interrupt controller. Returns false if it is for user space. */
static __always_inline bool mmio_write_in_kernel(struct emul_state *es, struct mmio_frag *f)
{
	u64 data;

	memcpy(&data, f->data, sizeof(data));	/* zeroes behind the length */
	/* Writes must stay in order: nothing is coalesced after a write that waits for an exit. */
	return io_write(es->vcpu, false, f->gpa, f->len, data, !es->nr_writes);
}

/**
 * emul_mmio_write() - write MMIO for the emulated instruction
 * @es: the emulator's state
 * @gpa: guest-physical address
 * @data: bytes to write
 * @len: number of bytes, all in one page without memory
 *
 * Writes that only user space can serve are collected in writes[].
 *
 * Context: as emul_mmio_read(). May sleep.
 * Return: EMUL_DONE; EMUL_UNKNOWN if there are too many.
 */
int emul_mmio_write(struct emul_state *es, gpa_t gpa, const void *data, u32 len)
{
	struct mmio_frag *f;
	u32 n;

	es->ctx.stop = true;
	for (; len; len -= n, gpa += n, data += n) {
		n = min(len, 8U);
		if (es->nr_writes >= EMUL_MAX_FRAGS)
			return EMUL_UNKNOWN;
		f = &es->writes[es->nr_writes];
		*f = (struct mmio_frag) { .gpa = gpa, .len = n };
		memcpy(f->data, data, n);
		trace_droste_mmio(es->vcpu, TRACE_MMIO_WRITE, gpa, n, f->data);
		if (!irqchip_mmio(es->vcpu, f->gpa, f->len, f->data, true) && !mmio_write_in_kernel(es, f))
			es->nr_writes++;
	}
	return EMUL_DONE;
}

/**
 * emul_mmio_write_word() - write up to 8 bytes of MMIO as the only write of an instruction
 * @es: the emulator's state
 * @gpa: guest-physical address
 * @val: the bytes to write, the first one in bits 7:0
 * @len: 1, 2, 4 or 8 bytes
 *
 * Context: as emul_mmio_read(). May sleep.
 * Return: true if a device in the kernel took the write; false if it is writes[0].
 */
bool emul_mmio_write_word(struct emul_state *es, gpa_t gpa, u64 val, u32 len)
{
	struct mmio_frag *f = &es->writes[0];

	f->gpa = gpa;
	f->len = len;
	val &= ~0ULL >> (64 - 8 * len);
	memcpy(f->data, &val, sizeof(val));
	es->nr_writes = 0;
	es->next_write = 0;
	trace_droste_mmio(es->vcpu, TRACE_MMIO_WRITE, gpa, len, f->data);
	if (irqchip_mmio(es->vcpu, gpa, len, f->data, true))
		return true;
	vcpu_stay_calm(es->vcpu);
	if (mmio_write_in_kernel(es, f))
		return true;
	es->nr_writes = 1;
	return false;
}

/**
 * emul_mmio_deliver() - exit to user space with the next of the instruction's writes
 * @vcpu: loaded; the instruction is executed
 *
 * Each write is one exit. The guest continues after the last one.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: NEXT_USER.
 */
int emul_mmio_deliver(struct vcpu *vcpu)
{
	struct emul_state *es = vcpu->emul;
	struct mmio_frag *f = &es->writes[es->next_write++];
	struct kvm_run *run = vcpu->run;

	vcpu->stats.mmio_exits++;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = f->gpa;
	run->mmio.len = f->len;
	run->mmio.is_write = 1;
	memcpy(run->mmio.data, f->data, sizeof(f->data));	/* zeroes behind the length */
	if (es->next_write < es->nr_writes)
		vcpu_complete_by(vcpu, emul_mmio_deliver);
	return NEXT_USER;
}
