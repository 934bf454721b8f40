// SPDX-License-Identifier: GPL-2.0
/* Gathers what the dirty rings list in one map of the guest's memory. */
#include "dirty.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "movefmt.h"
#include "say.h"
#include "vm.h"

#define RING_BYTES	(16384 * sizeof(struct kvm_dirty_gfn))	/* 64 MiB of a guest's memory */

int dirty_init(struct vm *vm)
{
	struct dirty *d = &vm->dirty;
	struct kvm_enable_cap cap = { .cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL };
	int most = vm_cap(vm->fd, cap.cap);

	if (!most) {
		cap.cap = KVM_CAP_DIRTY_LOG_RING;
		most = vm_cap(vm->fd, cap.cap);
	}
	if (most < (int)MOVE_PAGE) {
		say("the device has no dirty rings, so a guest cannot be moved while it runs; --save works");
		return -1;
	}
	cap.args[0] = most < (int)RING_BYTES ? (unsigned int)most : RING_BYTES;
	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap)) {
		say("cannot enable the dirty rings: %s", strerror(errno));
		return -1;
	}
	pthread_mutex_init(&d->lock, NULL);
	d->entries = cap.args[0] / sizeof(struct kvm_dirty_gfn);
	for (unsigned int i = 0; i < vm->mem->nr; i++)
		d->pages += vm->mem->region[i].size / MOVE_PAGE;
	d->map = calloc((d->pages + 63) / 64, sizeof(d->map[0]));
	if (!d->map)
		say("out of memory");
	return d->map ? 0 : -1;
}

int dirty_map(struct vm *vm)
{
	struct dirty *d = &vm->dirty;

	d->ring = calloc(vm->nr_vcpus, sizeof(*d->ring));
	if (!d->ring) {
		say("out of memory");
		return -1;
	}
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		d->ring[i].entry = mmap(NULL, d->entries * sizeof(struct kvm_dirty_gfn), PROT_READ | PROT_WRITE, MAP_SHARED,
					vm->vcpu[i].fd, KVM_DIRTY_LOG_PAGE_OFFSET * MOVE_PAGE);
		if (d->ring[i].entry == MAP_FAILED) {
			d->ring[i].entry = NULL;
			say("cannot map the dirty ring of CPU %u: %s", i, strerror(errno));
			return -1;
		}
	}
	return 0;
}

int dirty_log(struct vm *vm, bool on)
{
	struct dirty *d = &vm->dirty;

	for (unsigned int i = 0; i < vm->mem->nr; i++) {
		const struct mem_region *r = &vm->mem->region[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i, .flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0, .guest_phys_addr = r->gpa, .memory_size = r->size,
			.userspace_addr = (uintptr_t)r->host,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
			return -1;
	}
	if (dirty_collect(vm))
		return -1;
	pthread_mutex_lock(&d->lock);
	/* Entries that came after the start stay: those pages may be written again before they are sent. */
	if (!on) {
		memset(d->map, 0, (d->pages + 63) / 64 * sizeof(d->map[0]));
		d->nr = 0;
		d->told = 0;
	}
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* Notes a page that a ring lists. The kernel lists none that is not in a slot. */
static void note(struct vm *vm, uint32_t slot, uint64_t offset)
{
	struct dirty *d = &vm->dirty;
	uint64_t page = offset;

	if (slot >= vm->mem->nr || offset >= vm->mem->region[slot].size / MOVE_PAGE)
		return;
	for (uint32_t i = 0; i < slot; i++)
		page += vm->mem->region[i].size / MOVE_PAGE;
	d->told++;
	if (d->map[page / 64] & 1ULL << page % 64)
		return;
	d->map[page / 64] |= 1ULL << page % 64;
	d->nr++;
}

int dirty_collect(struct vm *vm)
{
	struct dirty *d = &vm->dirty;
	uint64_t found = 0;
	int ret = 0;

	pthread_mutex_lock(&d->lock);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		for (struct dirty_list *r = &d->ring[i];; r->next++, found++) {
			struct kvm_dirty_gfn *e = &r->entry[r->next % d->entries];

			if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
				break;
			note(vm, e->slot, e->offset);
			__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		}
	}
	/* The pages are watched again before anybody reads them. */
	if (found)
		ret = ioctl(vm->fd, KVM_RESET_DIRTY_RINGS, 0);
	pthread_mutex_unlock(&d->lock);
	return ret < 0 ? -1 : 0;
}

void dirty_fill(struct vm *vm)
{
	struct dirty *d = &vm->dirty;

	pthread_mutex_lock(&d->lock);
	memset(d->map, 0xff, d->pages / 64 * sizeof(d->map[0]));
	if (d->pages % 64)
		d->map[d->pages / 64] = (1ULL << d->pages % 64) - 1;
	d->nr = d->pages;
	pthread_mutex_unlock(&d->lock);
}

unsigned int dirty_take(struct vm *vm, uint64_t *from, uint64_t *first, unsigned int most)
{
	struct dirty *d = &vm->dirty;
	unsigned int n = 0;
	uint64_t p = *from;

	pthread_mutex_lock(&d->lock);
	while (p < d->pages && !(d->map[p / 64] & 1ULL << p % 64))
		p = d->map[p / 64] >> p % 64 ? p + 1 : (p | 63) + 1;
	*first = p;
	for (; p < d->pages && n < most && d->map[p / 64] & 1ULL << p % 64; p++, n++)
		d->map[p / 64] &= ~(1ULL << p % 64);
	d->nr -= n;
	*from = p;
	pthread_mutex_unlock(&d->lock);
	return n;
}

uint64_t dirty_left(struct vm *vm)
{
	uint64_t nr;

	pthread_mutex_lock(&vm->dirty.lock);
	nr = vm->dirty.nr;
	pthread_mutex_unlock(&vm->dirty.lock);
	return nr;
}

void dirty_free(struct vm *vm)
{
	struct dirty *d = &vm->dirty;

	for (unsigned int i = 0; d->ring && i < vm->nr_vcpus; i++)
		if (d->ring[i].entry)
			munmap(d->ring[i].entry, d->entries * sizeof(struct kvm_dirty_gfn));
	free(d->ring);
	free(d->map);
}
