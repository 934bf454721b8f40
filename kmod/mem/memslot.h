/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory: the only functions that read, write or pin what is in a VM's slots. */
#ifndef DROSTE_MEMSLOT_H
#define DROSTE_MEMSLOT_H

#include "mem/types.h"

struct vm;

int memslots_init(struct vm *vm);
void memslots_destroy(struct vm *vm);
struct memslots *memslots_of(struct vm *vm);

/* Readers: srcu_read_lock(&vm->srcu) held (the run loop holds it around handlers); process context, may sleep. */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn);	/* NULL: no memory there (MMIO) */
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len);		/* 0 or -EFAULT; may cross pages */
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len);	/* likewise; read-only slots: -EFAULT */
int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val);	/* aligned, in one access, as the processor reads a table entry; 0 or -EFAULT */
int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len);	/* 0 done, 1 differs (*old updated), -EFAULT; len 4 or 8, aligned */
/* The running thread's mm is vm->mm in all of the above; other threads get -EIO. */

int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map);	/* pin for writing; 0 or -EFAULT (no memory, read-only) */
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map);		/* marks dirty, unpins; fine on one not mapped */

/* Direct use by EPT01: user address of a frame, with what the slot allows. 0 when there is none. */
unsigned long vm_gfn_to_hva(struct vm *vm, gfn_t gfn, bool *writable);

#endif
