// SPDX-License-Identifier: GPL-2.0
/* Writes what a machine is, its pages and its state. */
#include "moveout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "crc32c.h"
#include "devstate.h"
#include "machine.h"
#include "movetest.h"
#include "poolfile.h"
#include "say.h"
#include "vcpustate.h"

#define MIB	(1024ULL * 1024)

void moveout_init(struct moveout *o, struct machine *m, int fd, const char *name)
{
	memset(o, 0, sizeof(*o));
	o->m = m;
	stream_init(&o->s, fd, name);
	o->s.cut_after = move_test_number("cut", -1);
	o->sums = move_test_number("sums", 0);
}

static int failed(struct moveout *o, const char *what)
{
	snprintf(o->s.why, sizeof(o->s.why), "%s failed: %s", what, strerror(errno));
	return -1;
}

int moveout_header(struct moveout *o, bool barriers)
{
	const struct vm *vm = &o->m->vm;
	int khz = ioctl(vm->vcpu[0].fd, KVM_GET_TSC_KHZ, 0);
	struct move_machine machine = {
		.nr_vcpus = vm->nr_vcpus, .memory = moveout_all_pages(o->m) * MOVE_PAGE / MIB, .tsc_khz = khz > 0 ? khz : 0,
		.moves = o->m->mover.moves + 1, .flags = barriers ? MOVE_BARRIERS : 0,
	};
	static struct droste_pool pool;

	if (khz < 0)
		return failed(o, "KVM_GET_TSC_KHZ");
	/* Its processor may have one of several frequencies; the vCPUs have one. */
	pool = *vm->pool;
	pool.tsc_khz = machine.tsc_khz;
	pool.tsc_khz_max = machine.tsc_khz;
	return stream_begin(&o->s) ||
	       stream_put(&o->s, MOVE_MACHINE, 0, &machine, sizeof(machine)) ||
	       stream_put(&o->s, MOVE_POOL, 0, &pool, sizeof(pool)) ? -1 : 0;
}

uint64_t moveout_all_pages(const struct machine *m)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < m->mem.nr; i++)
		n += m->mem.region[i].size / MOVE_PAGE;
	return n;
}

/* --- pages --- */

static bool is_zero(const uint8_t *page)
{
	return !*page && !memcmp(page, page + 1, MOVE_PAGE - 1);
}

/* Writes pages that are all zeros, or all not. */
static int put_alike(struct moveout *o, uint64_t gpa, const uint8_t *pages, unsigned int n, bool zero)
{
	const struct move_zero z = { .gpa = gpa, .bytes = (uint64_t)n * MOVE_PAGE };
	uint8_t *record;
	int ret;

	o->pages += n;
	if (zero)
		return stream_put(&o->s, MOVE_ZERO, 0, &z, sizeof(z));
	record = malloc(sizeof(gpa) + z.bytes);
	if (!record)
		return failed(o, "malloc");
	memcpy(record, &gpa, sizeof(gpa));
	memcpy(record + sizeof(gpa), pages, z.bytes);
	ret = stream_put(&o->s, MOVE_PAGES, 0, record, sizeof(gpa) + z.bytes);
	free(record);
	return ret;
}

/*
 * The guest may write a page while it is looked at: then it is dirty again, and is written again. Its copy is made before
 * the checksum is.
 */
static int put_run(struct moveout *o, uint64_t gpa, const uint8_t *host, unsigned int n)
{
	for (unsigned int at = 0, len; at < n; at += len) {
		bool zero = is_zero(host + (size_t)at * MOVE_PAGE);

		for (len = 1; at + len < n && is_zero(host + (size_t)(at + len) * MOVE_PAGE) == zero; len++)
			;
		if (put_alike(o, gpa + (uint64_t)at * MOVE_PAGE, host + (size_t)at * MOVE_PAGE, len, zero))
			return -1;
	}
	return 0;
}

int moveout_pages(struct moveout *o, uint64_t first, unsigned int n)
{
	const struct guest_mem *mem = &o->m->mem;

	for (unsigned int i = 0; i < mem->nr && n; i++) {
		const struct mem_region *r = &mem->region[i];
		uint64_t pages = r->size / MOVE_PAGE;
		unsigned int here = first >= pages ? 0 : n < pages - first ? n : pages - first;

		if (here && put_run(o, r->gpa + first * MOVE_PAGE, r->host + first * MOVE_PAGE, here))
			return -1;
		n -= here;
		first = first >= pages ? first - pages : 0;
	}
	return 0;
}

/* --- state --- */

int moveout_state(struct moveout *o, struct move_state *state)
{
	struct vm *vm = &o->m->vm;

	memset(state, 0, sizeof(*state));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vcpu_state_save(&vm->vcpu[i], state, o->s.why, sizeof(o->s.why)))
			return -1;
	return dev_state_save(o->m, state, o->s.why, sizeof(o->s.why));
}

void moveout_sum(struct moveout *o, uint64_t seq)
{
	if (!o->sums)
		return;
	o->memory_sum = move_test_sum(&o->m->mem);
	say("state %llu: memory %08x, output %08x", (unsigned long long)seq, o->memory_sum, o->output_sum);
}
