/* SPDX-License-Identifier: GPL-2.0 */
/* Ioctls about guest memory, called through the table in dev_vm.c: slots, the dirty log, dirty rings. */
#ifndef DROSTE_ABI_MEMORY_H
#define DROSTE_ABI_MEMORY_H

#include <linux/types.h>

struct vm;
struct kvm_userspace_memory_region;

/* --- memory.c --- */
int vm_set_memory_region(struct vm *vm, const struct kvm_userspace_memory_region *mem);

/* --- dirtylog.c --- */
u32 dirty_ring_reserved(void);
int dirty_ring_enable(struct vm *vm, u64 arg);
long vm_get_dirty_log(void *self, void *arg, unsigned long uarg);
long vm_clear_dirty_log(void *self, void *arg, unsigned long uarg);
long vm_reset_dirty_rings(void *self, void *arg, unsigned long uarg);

#endif
