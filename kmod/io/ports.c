// SPDX-License-Identifier: GPL-2.0
/*
 * DROSTE_PASS_PORTS: ports of the host that guests access without an exit. SDM 3C 25.6.4.
 *
 * While a VM passes no port, no I/O bitmap is in use: "unconditional I/O exiting" makes every access exit. Otherwise VMCS01
 * points to the bitmaps of vm->ports, and so does VMCS02, or to these merged with L1's: see bitmaps_place_io(). Bitmaps
 * must not change while a processor uses them (SDM 3C 25.11.4), so each call makes new ones, and REQ_PORTS has the vCPUs
 * take them.
 */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/droste.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/security.h>
#include <linux/slab.h>
#include "io/bus.h"
#include "io/ports.h"
#include "vmx/vmx.h"

#define NR_PORTS	0x10000u
#define PORT_WORDS	(NR_PORTS / 64)

static void ports_free(struct ports *p)
{
	if (!p)
		return;
	free_pages((unsigned long)p->bitmaps, 1);
	kfree(p);
}

/* Note the words of the bitmaps with a bit that is 0. */
static void ports_list_words(struct ports *p)
{
	u32 w;

	p->nr_words = 0;
	for (w = 0; w < PORT_WORDS; w++)
		if (p->bitmaps[w] != ~0ULL)
			p->words[p->nr_words++] = w;
}

/* Make the ports that are passed after a call. Returns NULL if there are none any more, or an error. */
static struct ports *ports_make(const struct ports *old, const struct droste_pass_ports *arg)
{
	struct ports *p = kzalloc(struct_size(p, words, PORT_WORDS), GFP_KERNEL_ACCOUNT);

	if (!p)
		return ERR_PTR(-ENOMEM);
	p->bitmaps = (u64 *)__get_free_pages(GFP_KERNEL_ACCOUNT, 1);
	if (!p->bitmaps) {
		kfree(p);
		return ERR_PTR(-ENOMEM);
	}
	if (old)
		memcpy(p->bitmaps, old->bitmaps, 2 * PAGE_SIZE);
	else
		memset(p->bitmaps, 0xff, 2 * PAGE_SIZE);
	if (arg->on)
		bitmap_clear((unsigned long *)p->bitmaps, arg->first, arg->count);
	else
		bitmap_set((unsigned long *)p->bitmaps, arg->first, arg->count);
	ports_list_words(p);
	if (p->nr_words)
		return p;
	ports_free(p);
	return NULL;
}

/* The caller may do what it lets its guest do: the rules are those of ioperm(). */
static int ports_may_pass(void)
{
	if (!vmx_may_set(host_caps.true_proc, CPU_BASED_USE_IO_BITMAPS))
		return -EOPNOTSUPP;
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	return security_locked_down(LOCKDOWN_IOPORT);
}

/**
 * vm_pass_ports() - DROSTE_PASS_PORTS
 * @self: the VM
 * @arg: struct droste_pass_ports
 * @uarg: unused
 *
 * When this returns, no guest accesses a port any more that is not passed.
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for a bad argument; -EPERM; -EOPNOTSUPP; -ENOMEM.
 */
long vm_pass_ports(void *self, void *arg, unsigned long uarg)
{
	const struct droste_pass_ports *user = arg;
	struct vm *vm = self;
	struct ports *p;
	int ret;

	if (!user->count || user->first >= NR_PORTS || user->count > NR_PORTS - user->first || user->on > 1 ||
	    memchr_inv(user->reserved, 0, sizeof(user->reserved)))
		return -EINVAL;
	if (user->on) {
		ret = ports_may_pass();
		if (ret)
			return ret;
	}
	p = ports_make(rcu_dereference_protected(vm->ports, lockdep_is_held(&vm->lock)), user);
	if (IS_ERR(p))
		return PTR_ERR(p);
	p = rcu_replace_pointer(vm->ports, p, lockdep_is_held(&vm->lock));
	bus_note_changed(vm);
	vm_request_all(vm, REQ_PORTS);
	synchronize_srcu(&vm->srcu);
	ports_free(p);
	return 0;
}

/**
 * ports_destroy() - forget the ports that a VM passes
 * @vm: no longer used by any thread
 *
 * Context: Process context.
 */
void ports_destroy(struct vm *vm)
{
	ports_free(rcu_dereference_protected(vm->ports, true));
}

/**
 * ports_take() - carry out REQ_PORTS: let entries pass the ports of vm->ports
 * @vcpu: loaded; nested_remerge_ports() must follow
 *
 * What vcpu->ports points to is freed when each vCPU has left the guest with REQ_PORTS set, and vm->srcu. So vcpu->ports may
 * be used only between this function, or a look that found no request, and the next exit, or until vm->srcu is released
 * without an entry.
 *
 * Context: Process context. Caller holds vm->srcu for reading. Writes the current VMCS if it is VMCS01; VMCS02 takes
 * the change at its next entry.
 */
void ports_take(struct vcpu *vcpu)
{
	const struct ports *p = srcu_dereference(vcpu->vm->ports, &vcpu->vm->srcu);

	if (vcpu->ports_held)
		p = NULL;
	if (!p && !vcpu->ports)
		return;
	vcpu->ports = p;
	if (p)
		vcpu->io_bitmaps01 = __pa(p->bitmaps);
	vmx_update_cpuid_controls(vcpu);
}

/**
 * ports_access() - access a port for an instruction that exited although the port is passed
 * @vcpu: executes the instruction
 * @port: port number
 * @size: 1, 2 or 4 bytes
 * @data: @size bytes: what to write, or what was read
 * @write: OUT, not IN
 *
 * That happens while DROSTE_PASS_PORTS is executed, if L1's bitmap is not in memory that can be pinned, and for INS and OUTS
 * with an operand that the processor cannot access.
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 * Return: true if the access was made; false if one of its ports is not passed, or it wraps around.
 */
bool ports_access(struct vcpu *vcpu, u16 port, u32 size, void *data, bool write)
{
	const struct ports *p = srcu_dereference(vcpu->vm->ports, &vcpu->vm->srcu);

	if (likely(!p))
		return false;
	if (port + size > NR_PORTS || find_next_bit((unsigned long *)p->bitmaps, port + size, port) < port + size)
		return false;
	switch (size) {
	case 1:
		if (write)
			outb(*(u8 *)data, port);
		else
			*(u8 *)data = inb(port);
		break;
	case 2:
		if (write)
			outw(*(u16 *)data, port);
		else
			*(u16 *)data = inw(port);
		break;
	default:
		if (write)
			outl(*(u32 *)data, port);
		else
			*(u32 *)data = inl(port);
	}
	return true;
}
