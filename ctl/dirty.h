/* SPDX-License-Identifier: GPL-2.0 */
/* The pages that a guest has written, gathered from the dirty rings of its vCPUs. */
#ifndef DROSTECTL_DIRTY_H
#define DROSTECTL_DIRTY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm_dirty_gfn;
struct vm;

/** struct dirty_list - the dirty ring of one vCPU */
struct dirty_list {
	struct kvm_dirty_gfn *entry;
	uint32_t next;		/* the entry that is read next */
};

/** struct dirty - what is dirty */
struct dirty {
	pthread_mutex_t lock;		/* guards all below */
	struct dirty_list *ring;	/* of each vCPU */
	uint32_t entries;		/* of a ring; 0: there are no rings */
	uint64_t *map;			/* a bit for each page of the memory, the regions one after the other */
	uint64_t pages;			/* of the memory */
	uint64_t nr;			/* bits that are set */
	uint64_t told;			/* entries since the log was started */
};

/**
 * dirty_init() - have the VM log what its guest writes, once dirty_log() starts it
 * @vm: the VM, without vCPUs yet
 *
 * Return: 0, or -1 after an error message.
 */
int dirty_init(struct vm *vm);

/** dirty_map() - map the rings of the vCPUs, all of which are there; 0, or -1 after an error message */
int dirty_map(struct vm *vm);

/** dirty_log() - start or stop the log; all pages are clean then; 0, or -1 with errno */
int dirty_log(struct vm *vm, bool on);

/** dirty_fill() - all pages are dirty */
void dirty_fill(struct vm *vm);

/** dirty_collect() - take all entries from the rings; any thread; 0, or -1 with errno */
int dirty_collect(struct vm *vm);

/**
 * dirty_take() - take a run of dirty pages out of the log
 * @vm: the VM
 * @from: where to look first; moves behind the run
 * @first: filled in: the number of its first page
 * @most: it is not longer
 *
 * Return: pages in the run; 0 if no page from *@from on is dirty.
 */
unsigned int dirty_take(struct vm *vm, uint64_t *from, uint64_t *first, unsigned int most);

/** dirty_left() - how many pages are dirty, as far as is known */
uint64_t dirty_left(struct vm *vm);

/** dirty_free() - free what dirty_init() and dirty_map() made */
void dirty_free(struct vm *vm);

#endif
