/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory: the only functions that read, write or pin the memory in a VM's slots. */
#ifndef DROSTE_MEMSLOT_H
#define DROSTE_MEMSLOT_H

#include "mem/types.h"

struct vm;

int memslots_init(struct vm *vm);
void memslots_destroy(struct vm *vm);

/*
 * Callers of all functions below hold vm->srcu for reading; the run loop holds
 * it around exit handlers. Those that read, write or pin memory return -EIO
 * unless the thread's mm is vm->mm.
 */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn);
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len);
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len);
int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val);
int vm_read_guest_u64s(struct vm *vm, gpa_t gpa, u64 *vals, unsigned int n);
int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len);
int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map);
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map);

#endif
