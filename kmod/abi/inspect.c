// SPDX-License-Identifier: GPL-2.0
/* DROSTE_INSPECT: a descriptor through which root looks at any VM of the host, and its ioctls. */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/droste.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "mem/memslot.h"
#include "nested/look.h"
#include "nested/nested.h"
#include "nested/route_why.h"
#include "run/run.h"

/* Returns the vCPU with an index, or NULL. */
static struct vcpu *inspect_vcpu(struct vm *vm, u32 index)
{
	/* Pairs with the release in vcpu_create_fd(). */
	u32 nr = smp_load_acquire(&vm->nr_vcpus);

	return index < nr ? READ_ONCE(vm->vcpus[index]) : NULL;
}

static long inspect_vm_info(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	struct droste_vm_info *info = arg;
	const struct memslots *slots;
	int i, idx;

	info->number = vm->number;
	info->pid = pid_vnr(vm->owner);
	info->nr_vcpus = READ_ONCE(vm->nr_vcpus);
	strscpy(info->name, vm->owner_name, sizeof(info->name));
	if (refcount_read(&vm->users) <= atomic_read(&vm->inspectors))
		info->flags = DROSTE_VM_CLOSED;
	idx = srcu_read_lock(&vm->srcu);
	slots = srcu_dereference(vm->slots, &vm->srcu);
	info->nr_slots = slots->n;
	for (i = 0; i < slots->n; i++)
		info->memory += slots->s[i].npages << PAGE_SHIFT;
	srcu_read_unlock(&vm->srcu, idx);
	return 0;
}

static long inspect_vcpu_info(void *self, void *arg, unsigned long uarg)
{
	struct droste_vcpu_info *info = arg;
	u32 index = info->vcpu;
	struct vcpu *vcpu = inspect_vcpu(self, index);

	if (!vcpu)
		return -EINVAL;
	memset(info, 0, sizeof(*info));
	info->vcpu = index;
	info->id = vcpu->id;
	info->level = READ_ONCE(vcpu->in_l2) ? 2 : 1;
	info->mp_state = READ_ONCE(vcpu->mp_state);
	info->flags = READ_ONCE(vcpu->nested.vmxon) ? DROSTE_VCPU_VMX : 0;
	if (mutex_is_locked(&vcpu->mutex))
		info->flags |= DROSTE_VCPU_RUNS;
	if (stand_here(vcpu))
		info->flags |= DROSTE_VCPU_STANDS;
	info->vmptr = vcpu->nested.vmxon ? READ_ONCE(vcpu->nested.vmptr) : VMPTR_NONE;
	info->entries = READ_ONCE(vcpu->stats.nested_run);
	/* A part before what it is a part of: the vCPU counts in the other order. */
	memcpy(info->shown, vcpu->exits_shown, sizeof(info->shown));
	memcpy(info->exits.reflected, vcpu->exits_reflected, sizeof(info->exits.reflected));
	smp_rmb();	/* pairs with nothing: the order of a TSO processor's stores is that of the program */
	memcpy(info->exits.from_l2, vcpu->exits_l2, sizeof(info->exits.from_l2));
	smp_rmb();	/* likewise */
	memcpy(info->exits.exits, vcpu->exits, sizeof(info->exits.exits));
	return 0;
}

/* Copy the fields to user space. Returns 0, -E2BIG or -EFAULT. */
static long inspect_give(struct droste_vmcs *v, const struct look *l)
{
	u32 room = v->nr;

	v->nr = l->nr;
	if (room < l->nr)
		return -E2BIG;
	v->flags = l->in_l2 ? DROSTE_VMCS_IN_L2 : 0;
	v->vmptr = l->vmptr;
	v->merged[0] = l->merged01.pin;
	v->merged[1] = l->merged01.proc;
	v->merged[2] = l->merged01.proc2;
	v->merged[3] = l->merged01.exit;
	v->merged[4] = l->merged01.entry;
	v->merged[5] = l->merged01.exceptions;
	if (copy_to_user(u64_to_user_ptr(v->fields), l->fields, l->nr * sizeof(*l->fields)))
		return -EFAULT;
	return 0;
}

/* Whether a VMCS of L1 is current on one of the vCPUs. They may run. */
static bool inspect_is_current(struct vm *vm, u64 vmptr)
{
	struct vcpu *vcpu;
	u32 i;

	for (i = 0; (vcpu = inspect_vcpu(vm, i)); i++)
		if (READ_ONCE(vcpu->nested.vmxon) && READ_ONCE(vcpu->nested.vmptr) == vmptr)
			return true;
	return false;
}

/* Read a page of L1's memory. */
static long inspect_read_page(struct vm *vm, u64 gpa, void *page)
{
	long ret;
	int idx;

	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	idx = srcu_read_lock(&vm->srcu);
	ret = vm_peek_guest(vm, gpa, page, PAGE_SIZE / sizeof(u64));
	srcu_read_unlock(&vm->srcu, idx);
	mmput(vm->mm);
	return ret;
}

/* Put the fields of a VMCS in L1's memory into the array, and what else is known of it into @v. */
static long inspect_memory_vmcs(struct vm *vm, const struct vcpu *vcpu, struct droste_vmcs *v,
				struct droste_vmcs_field *fields)
{
	struct vmcs12 *page = kmalloc(PAGE_SIZE, GFP_KERNEL);
	long ret = page ? inspect_read_page(vm, v->vmptr, page) : -ENOMEM;

	if (!ret && (page->revision_id & ~VMCS12_SHADOW_BIT) != VMCS12_REVISION)
		ret = -ENODATA;
	if (!ret) {
		v->nr = nested_look_fields(vcpu, page, fields);
		v->flags = (page->revision_id & VMCS12_SHADOW_BIT ? DROSTE_VMCS_FOR_L2 : 0) |
			   (page->launch_state == VMCS12_LAUNCHED ? DROSTE_VMCS_LAUNCHED : 0) |
			   (inspect_is_current(vm, v->vmptr) ? DROSTE_VMCS_CURRENT : 0);
	}
	kfree(page);
	return ret;
}

/* DROSTE_GET_VMCS for DROSTE_VMCS_MEMORY. */
static long inspect_get_memory_vmcs(struct vm *vm, const struct vcpu *vcpu, struct droste_vmcs *v, unsigned long uarg)
{
	struct droste_vmcs_field *fields;
	u32 room = v->nr;
	long ret;

	if (v->vmptr & ~PAGE_MASK)
		return -EINVAL;
	fields = kvcalloc(NR_VMCS12_FIELDS, sizeof(*fields), GFP_KERNEL);
	if (!fields)
		return -ENOMEM;
	ret = inspect_memory_vmcs(vm, vcpu, v, fields);
	if (!ret && room < v->nr) {
		v->flags = 0;
		ret = copy_to_user((void __user *)uarg, v, sizeof(*v)) ? -EFAULT : -E2BIG;
	}
	if (!ret && copy_to_user(u64_to_user_ptr(v->fields), fields, v->nr * sizeof(*fields)))
		ret = -EFAULT;
	kvfree(fields);
	return ret;
}

static long inspect_get_vmcs(void *self, void *arg, unsigned long uarg)
{
	struct droste_vmcs *v = arg;
	struct vcpu *vcpu = inspect_vcpu(self, v->vcpu);
	struct look l = { .which = v->which, .hide = !capable(CAP_SYSLOG) };
	long ret = -ENOMEM;

	if (!vcpu || v->flags || v->which > DROSTE_VMCS_MEMORY)
		return -EINVAL;
	if (v->which == DROSTE_VMCS_MEMORY)
		return inspect_get_memory_vmcs(self, vcpu, v, uarg);
	l.fields = kvcalloc(NR_VMCS12_FIELDS, sizeof(*l.fields), GFP_KERNEL);
	l.vmcs12 = kzalloc(sizeof(*l.vmcs12), GFP_KERNEL);
	l.before = kzalloc(sizeof(*l.before), GFP_KERNEL);
	if (l.fields && l.vmcs12 && l.before)
		ret = vcpu_visit(vcpu, nested_look, &l);
	if (!ret)
		ret = l.ret;
	if (!ret)
		ret = inspect_give(v, &l);
	kfree(l.before);
	kfree(l.vmcs12);
	kvfree(l.fields);
	/* The number of fields is told with the error. */
	if (ret == -E2BIG && copy_to_user((void __user *)uarg, v, sizeof(*v)))
		ret = -EFAULT;
	return ret;
}

static_assert(DROSTE_NR_VMX_CAPS == VMX_CAPS_NR);
static_assert(sizeof_field(struct droste_why, failed) == sizeof_field(struct nested, failed_checks));

static long inspect_get_why(void *self, void *arg, unsigned long uarg)
{
	struct droste_why *why = arg;
	struct vcpu *vcpu = inspect_vcpu(self, why->vcpu);
	struct look_why l = { .why = why };
	u32 room = why->nr;
	long ret;

	if (!vcpu)
		return -EINVAL;
	l.fields = kvcalloc(NR_VMCS12_FIELDS, sizeof(*l.fields), GFP_KERNEL);
	if (!l.fields)
		return -ENOMEM;
	ret = vcpu_visit(vcpu, nested_look_why, &l);
	if (!ret)
		ret = l.ret;
	why->nr = l.nr;
	if (!ret && room < l.nr)
		ret = copy_to_user((void __user *)uarg, why, sizeof(*why)) ? -EFAULT : -E2BIG;
	if (!ret && copy_to_user(u64_to_user_ptr(why->fields), l.fields, l.nr * sizeof(*l.fields)))
		ret = -EFAULT;
	kvfree(l.fields);
	return ret;
}

static long inspect_get_ept(void *self, void *arg, unsigned long uarg)
{
	struct droste_ept *e = arg;
	struct vm *vm = self;
	struct vcpu *vcpu = inspect_vcpu(vm, e->vcpu);
	struct look_ept l = { .ept = e, .hide = !capable(CAP_SYSLOG) };
	u32 flags = e->flags;
	long ret;

	if (!vcpu || (flags & ~DROSTE_EPT_OF_L1) || memchr_inv(e->reserved, 0, sizeof(e->reserved)))
		return -EINVAL;
	*e = (struct droste_ept) { .vcpu = e->vcpu, .flags = flags, .gpa = e->gpa };
	/* For reading L1's tables. The last user of the process' memory must not end under the vCPU's locks. */
	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	ret = vcpu_visit(vcpu, nested_look_ept, &l);
	mmput(vm->mm);
	return ret ? ret : l.ret;
}

static long inspect_get_exit(void *self, void *arg, unsigned long uarg)
{
	struct droste_last_exit *e = arg;
	struct vm *vm = self;
	struct vcpu *vcpu = inspect_vcpu(vm, e->vcpu);
	struct look_exit l = { .exit = e };
	long ret;

	if (!vcpu || e->flags || memchr_inv(e->reserved, 0, sizeof(e->reserved)))
		return -EINVAL;
	*e = (struct droste_last_exit) { .vcpu = e->vcpu };
	l.vmcs12 = kzalloc(sizeof(*l.vmcs12), GFP_KERNEL);
	if (!l.vmcs12)
		return -ENOMEM;
	/* For reading L1's bitmaps, as in inspect_get_ept(). */
	ret = mmget_not_zero(vm->mm) ? 0 : -ESRCH;
	if (!ret) {
		ret = vcpu_visit_exit(vcpu, nested_look_exit, &l);
		mmput(vm->mm);
	}
	kfree(l.vmcs12);
	return ret ? ret : l.ret;
}

static long inspect_get_regs(void *self, void *arg, unsigned long uarg)
{
	struct droste_regs *r = arg;
	struct vm *vm = self;
	struct vcpu *vcpu = inspect_vcpu(vm, r->vcpu);
	struct look_regs l = { .regs = r };
	long ret;

	if (!vcpu || r->level > 2 || r->flags || r->reserved0 || memchr_inv(r->reserved, 0, sizeof(r->reserved)))
		return -EINVAL;
	*r = (struct droste_regs) { .vcpu = r->vcpu, .level = r->level };
	/* For reading CR8 of L2 in L1's virtual-APIC page, as in inspect_get_ept(). */
	if (!mmget_not_zero(vm->mm))
		return -ESRCH;
	ret = vcpu_visit(vcpu, nested_look_regs, &l);
	mmput(vm->mm);
	return ret ? ret : l.ret;
}

static const struct ioctl_row inspect_rows[] = {
	IO_ROW(DROSTE_VM_INFO, inspect_vm_info, 0),
	IO_ROW(DROSTE_VCPU_INFO, inspect_vcpu_info, 0),
	IO_ROW(DROSTE_GET_VMCS, inspect_get_vmcs, 0),
	IO_ROW(DROSTE_GET_WHY, inspect_get_why, 0),
	IO_ROW(DROSTE_GET_EPT, inspect_get_ept, 0),
	IO_ROW(DROSTE_GET_EXIT, inspect_get_exit, 0),
	IO_ROW(DROSTE_GET_REGS_ALL, inspect_get_regs, 0),
};

const struct ioctl_table inspect_ioctls = { inspect_rows, ARRAY_SIZE(inspect_rows) };

/* --- breakpoints, which belong to a descriptor --- */

/* Whether a member of struct droste_match may have this value: one from @first to @last, or 0 without its flag. */
static bool inspect_member_valid(bool given, u32 val, u32 first, u32 last)
{
	return given ? val >= first && val <= last : !val;
}

static bool inspect_range_valid(bool given, u64 first, u64 last)
{
	return given ? first <= last : !first && !last;
}

static bool inspect_match_valid(struct vm *vm, const struct droste_match *m)
{
	const u32 known = DROSTE_MATCH_VCPU | DROSTE_MATCH_LEVEL | DROSTE_MATCH_REASON | DROSTE_MATCH_TO | DROSTE_MATCH_WHY |
			  DROSTE_MATCH_RIP | DROSTE_MATCH_SEQ;
	u32 f = m->flags;

	if ((f & ~known) || memchr_inv(m->reserved, 0, sizeof(m->reserved)))
		return false;
	if (f & DROSTE_MATCH_VCPU ? !inspect_vcpu(vm, m->vcpu) : m->vcpu)
		return false;
	return inspect_member_valid(f & DROSTE_MATCH_LEVEL, m->level, 1, 2) &&
	       inspect_member_valid(f & DROSTE_MATCH_REASON, m->reason, 0, DROSTE_NR_EXIT_REASONS - 1) &&
	       inspect_member_valid(f & DROSTE_MATCH_TO, m->to, 0, 1) &&
	       inspect_member_valid(f & DROSTE_MATCH_WHY, m->why, 0, NR_ROUTE_WHY - 1) &&
	       inspect_range_valid(f & DROSTE_MATCH_RIP, m->rip_first, m->rip_last) &&
	       inspect_range_valid(f & DROSTE_MATCH_SEQ, m->seq_first, m->seq_last);
}

static long inspect_break(void *self, void *arg, unsigned long uarg)
{
	struct file *file = self;
	struct vm *vm = file->private_data;

	return inspect_match_valid(vm, arg) ? stand_set(vm, file, arg) : -EINVAL;
}

static long inspect_continue(void *self, void *arg, unsigned long uarg)
{
	struct file *file = self;

	return stand_continue(file->private_data, file);
}

static const struct ioctl_row inspect_break_rows[] = {
	IO_ROW(DROSTE_BREAK, inspect_break, 0),
	IO_ROW(DROSTE_CONT, inspect_continue, 0),
};

const struct ioctl_table inspect_break_ioctls = { inspect_break_rows, ARRAY_SIZE(inspect_break_rows) };

static __poll_t inspect_poll(struct file *file, poll_table *table)
{
	struct vm *vm = file->private_data;

	poll_wait(file, &vm->stand.wait, table);
	return READ_ONCE(vm->stand.nr) ? EPOLLIN | EPOLLRDNORM : 0;
}

/* --- the descriptor --- */

static long inspect_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	const struct ioctl_row *row = ioctl_find(&inspect_ioctls, cmd);

	if (row)
		return ioctl_call(row, file->private_data, uarg);
	row = ioctl_find(&inspect_break_ioctls, cmd);
	return row ? ioctl_call(row, file, uarg) : -ENOTTY;
}

static int inspect_release(struct inode *inode, struct file *file)
{
	struct vm *vm = file->private_data;

	stand_clear(vm, file);
	atomic_dec(&vm->inspectors);
	vm_put(vm);
	return 0;
}

static const struct file_operations inspect_fops = {
	.owner = THIS_MODULE,	/* an open descriptor holds the module */
	.unlocked_ioctl = inspect_ioctl,
	.poll = inspect_poll,
	.release = inspect_release,
	.llseek = noop_llseek,
};

/**
 * dev_inspect() - DROSTE_INSPECT
 * @self: unused
 * @arg: struct droste_vm_name
 * @uarg: unused
 *
 * Context: Process context, may sleep.
 * Return: a file descriptor; -EPERM without CAP_SYS_ADMIN; -EINVAL for unknown flags; -ENOENT if there is no such VM;
 * -EMFILE, -ENOMEM.
 */
long dev_inspect(void *self, void *arg, unsigned long uarg)
{
	const struct droste_vm_name *name = arg;
	struct vm *vm;
	int fd;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (name->flags & ~DROSTE_NEXT)
		return -EINVAL;
	vm = vm_find(name->number, name->flags & DROSTE_NEXT);
	if (!vm)
		return -ENOENT;
	atomic_inc(&vm->inspectors);
	fd = anon_inode_getfd("droste-inspect", &inspect_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		atomic_dec(&vm->inspectors);
		vm_put(vm);
	}
	return fd;
}
