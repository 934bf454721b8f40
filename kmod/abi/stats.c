// SPDX-License-Identifier: GPL-2.0
/* KVM_GET_STATS_FD: a read-only file with the counters of a VM or a vCPU, and their descriptions. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "nested/nested.h"

#define NAME_SIZE	48	/* size of each name, with the terminating 0 */

/* One statistic: the place of its values in struct vm or struct vcpu, and its description for user space. */
struct stat_row {
	const char *name;
	u32 flags;		/* KVM_STATS_TYPE_*, _UNIT_*, _BASE_* */
	s16 exponent;
	u16 size;		/* number of values */
	u16 sum;		/* number of consecutive members that are added up to one value */
	u16 bucket;		/* bucket size of a linear histogram */
	u16 width;		/* of a member, in bytes */
	u32 offset;		/* of the first member in struct vm or struct vcpu */
};

struct stat_table {
	const struct stat_row *rows;
	u32 n;
};

#define ROW(_type, _unit, _exp, _size, _sum, _bucket, _name, _object, _member) { \
	.name = _name, .flags = KVM_STATS_TYPE_##_type | KVM_STATS_UNIT_##_unit | KVM_STATS_BASE_POW10, \
	.exponent = _exp, .size = _size, .sum = _sum, .bucket = _bucket, \
	.width = sizeof_field(struct _object, _member), .offset = offsetof(struct _object, _member) }

#define VM_NOW(name, member)	ROW(INSTANT, NONE, 0, 1, 1, 0, name, vm, member)
#define VM_COUNT(name, member)	ROW(CUMULATIVE, NONE, 0, 1, 1, 0, name, vm, member)

#define COUNT(name, member)	ROW(CUMULATIVE, NONE, 0, 1, 1, 0, name, vcpu, member)
#define COUNT_NS(name, member)	ROW(CUMULATIVE, SECONDS, -9, 1, 1, 0, name, vcpu, member)
#define IS(name, member)	ROW(INSTANT, BOOLEAN, 0, 1, 1, 0, name, vcpu, member)
/* Members of an array by exit reason: that of one reason, the sum of all, or each one. */
#define OF_REASON(name, reason)	COUNT(name, exits[reason])
#define ALL_OF(name, member)	ROW(CUMULATIVE, NONE, 0, 1, NR_EXIT_REASONS, 0, name, vcpu, member[0])
#define EACH_OF(name, member)	ROW(LINEAR_HIST, NONE, 0, NR_EXIT_REASONS, 1, 1, name, vcpu, member[0])

/* A counter that KVM has too has KVM's name. */
static const struct stat_row vm_rows[] = {
	VM_COUNT("remote_tlb_flush", stats.remote_tlb_flush),
	VM_NOW("pages_4k", ept01.leaves[1]),
	VM_NOW("pages_2m", ept01.leaves[2]),
	VM_NOW("pages_1g", ept01.leaves[3]),
	VM_NOW("ept_tables", ept01.pages),
	VM_NOW("vcpus", nr_vcpus),
	VM_COUNT("wbinvd_barriers", barrier.done),
	VM_COUNT("wbinvd_merged", barrier.merged),
};

static const struct stat_row vcpu_rows[] = {
	ALL_OF("exits", exits),
	ALL_OF("l2_exits", exits_l2),
	ALL_OF("l2_exits_reflected", exits_reflected),
	COUNT("nested_run", stats.nested_run),
	COUNT("short_exits", stats.short_exits),
	COUNT("clustered", stats.clustered),
	IS("guest_mode", in_l2),
	OF_REASON("halt_exits", EXIT_REASON_HLT),
	OF_REASON("irq_exits", EXIT_REASON_EXTERNAL_INTERRUPT),
	OF_REASON("irq_window_exits", EXIT_REASON_INTERRUPT_WINDOW),
	OF_REASON("nmi_window_exits", EXIT_REASON_NMI_WINDOW),
	OF_REASON("io_exits", EXIT_REASON_IO_INSTRUCTION),
	OF_REASON("pf_taken", EXIT_REASON_EPT_VIOLATION),
	COUNT("mmio_exits", stats.mmio_exits),
	COUNT("signal_exits", stats.signal_exits),
	COUNT("irq_injections", stats.irq_injections),
	COUNT("nmi_injections", stats.nmi_injections),
	OF_REASON("pause_exits", EXIT_REASON_PAUSE_INSTRUCTION),
	COUNT("pause_l0_yields", stats.pause_l0_yields),
	COUNT("directed_yield_attempted", stats.directed_yield_attempted),
	COUNT("directed_yield_successful", stats.directed_yield_successful),
	COUNT("directed_yield_received", stats.directed_yield_received),
	COUNT("halt_attempted_poll", stats.halt_attempted_poll),
	COUNT("halt_successful_poll", stats.halt_successful_poll),
	COUNT_NS("halt_poll_success_ns", stats.halt_poll_success_ns),
	COUNT_NS("halt_poll_fail_ns", stats.halt_poll_fail_ns),
	COUNT("halt_wakeup", stats.halt_wakeup),
	COUNT_NS("halt_wait_ns", stats.halt_wait_ns),
	IS("blocking", stats.blocking),
	EACH_OF("exits_by_reason", exits),
	EACH_OF("l2_exits_by_reason", exits_l2),
	EACH_OF("l2_exits_reflected_by_reason", exits_reflected),
};

static const struct stat_table vm_table = { vm_rows, ARRAY_SIZE(vm_rows) };
static const struct stat_table vcpu_table = { vcpu_rows, ARRAY_SIZE(vcpu_rows) };

/* A descriptor in the file: struct kvm_stats_desc with a name of fixed size, which only some kernels' headers have. */
struct file_desc {
	u32 flags;
	s16 exponent;
	u16 size;
	u32 offset;
	u32 bucket_size;
	char name[NAME_SIZE];
};
static_assert(offsetof(struct file_desc, offset) == offsetof(struct kvm_stats_desc, offset));
static_assert(offsetof(struct file_desc, name) == offsetof(struct kvm_stats_desc, name));

/*
 * An open statistics file. Its contents are the image: header, name and
 * descriptors, which never change, then the values, which each read updates.
 */
struct stats_file {
	struct vm *vm;			/* the file has a reference; a vCPU lives as long as its VM */
	const void *object;		/* struct vm or struct vcpu */
	const struct stat_table *table;
	struct mutex lock;		/* protects the values in @image */
	u32 values;			/* number of values, at the end of the image */
	struct {
		struct kvm_stats_header h;
		char name[NAME_SIZE];
		struct file_desc d[];
	} image;
};
static_assert(sizeof(struct file_desc) % sizeof(u64) == 0);
static_assert((sizeof(struct kvm_stats_header) + NAME_SIZE) % sizeof(u64) == 0);

static u64 *stats_values_of(struct stats_file *s)
{
	return (u64 *)&s->image.d[s->table->n];
}

/* Other threads update the counters at the same time, so each is read in one access. */
static u64 stats_member(const void *at, u16 width)
{
	switch (width) {
	case 1:
		return READ_ONCE(*(const u8 *)at);
	case 4:
		return READ_ONCE(*(const u32 *)at);
	default:
		return READ_ONCE(*(const u64 *)at);
	}
}

static void stats_fill_values(struct stats_file *s)
{
	u64 *out = stats_values_of(s);
	u32 i, j, k;

	for (i = 0; i < s->table->n; i++) {
		const struct stat_row *row = &s->table->rows[i];
		const void *at = s->object + row->offset;

		for (j = 0; j < row->size; j++, out++)
			for (*out = 0, k = 0; k < row->sum; k++, at += row->width)
				*out += stats_member(at, row->width);
	}
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct stats_file *s = file->private_data;
	size_t all = (void *)(stats_values_of(s) + s->values) - (void *)&s->image;
	ssize_t ret;

	if (mutex_lock_interruptible(&s->lock))
		return -EINTR;
	stats_fill_values(s);
	ret = simple_read_from_buffer(buf, size, pos, &s->image, all);
	mutex_unlock(&s->lock);
	return ret;
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *s = file->private_data;

	vm_put(s->vm);
	mutex_destroy(&s->lock);
	kfree(s);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = noop_llseek,
};

static void stats_describe(struct stats_file *s)
{
	struct kvm_stats_header *h = &s->image.h;
	u32 i, at = 0;

	h->name_size = NAME_SIZE;
	h->num_desc = s->table->n;
	h->id_offset = sizeof(*h);
	h->desc_offset = sizeof(*h) + NAME_SIZE;
	h->data_offset = h->desc_offset + s->table->n * sizeof(struct file_desc);
	for (i = 0; i < s->table->n; i++) {
		const struct stat_row *row = &s->table->rows[i];
		struct file_desc *desc = &s->image.d[i];

		desc->flags = row->flags;
		desc->exponent = row->exponent;
		desc->size = row->size;
		desc->offset = at;
		desc->bucket_size = row->bucket;
		strscpy(desc->name, row->name, sizeof(desc->name));
		at += row->size * sizeof(u64);
	}
}

static struct stats_file *stats_make_stats(struct vm *vm, const void *object, const struct stat_table *table)
{
	struct stats_file *s;
	u32 i, values = 0;

	for (i = 0; i < table->n; i++)
		values += table->rows[i].size;
	s = kzalloc(struct_size(s, image.d, table->n) + values * sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!s)
		return NULL;
	s->vm = vm;
	s->object = object;
	s->table = table;
	s->values = values;
	mutex_init(&s->lock);
	stats_describe(s);
	return s;
}

/* Open a descriptor that owns @s. Returns the descriptor; on error frees @s and returns a negative errno. */
static int stats_install_stats(struct stats_file *s)
{
	struct file *file;
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		goto err;
	file = anon_inode_getfile("droste-stats", &stats_fops, s, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto err;
	}
	vm_get(s->vm);
	file->f_mode |= FMODE_PREAD;
	fd_install(fd, file);
	return fd;
err:
	mutex_destroy(&s->lock);
	kfree(s);
	return fd;
}

/**
 * vm_get_stats_fd() - KVM_GET_STATS_FD of a VM
 * @self: the VM
 * @arg: NULL
 * @uarg: unused
 *
 * Context: Process context, may sleep.
 * Return: a file descriptor; -ENOMEM, -EMFILE, -ENFILE.
 */
long vm_get_stats_fd(void *self, void *arg, unsigned long uarg)
{
	struct stats_file *s = stats_make_stats(self, self, &vm_table);

	if (!s)
		return -ENOMEM;
	snprintf(s->image.name, NAME_SIZE, "kvm-%d", task_tgid_nr(current));
	return stats_install_stats(s);
}

/**
 * vcpu_get_stats_fd() - KVM_GET_STATS_FD of a vCPU
 * @self: the vCPU
 * @arg: NULL
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: a file descriptor; -ENOMEM, -EMFILE, -ENFILE.
 */
long vcpu_get_stats_fd(void *self, void *arg, unsigned long uarg)
{
	const struct vcpu *vcpu = self;
	struct stats_file *s = stats_make_stats(vcpu->vm, vcpu, &vcpu_table);

	if (!s)
		return -ENOMEM;
	snprintf(s->image.name, NAME_SIZE, "kvm-%d/vcpu-%d", task_tgid_nr(current), vcpu->id);
	return stats_install_stats(s);
}
