// SPDX-License-Identifier: GPL-2.0
/*
 * Gathers a machine from a stream. What belongs to a state that is not complete yet is kept apart from the last complete one,
 * so that it can be dropped at any time.
 *
 * A stream of few bytes can say much of zeros. Memory that is zero is not touched for that, so that no more of it is in use than
 * came: which pages have data is kept in maps.
 */
#include "image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "acpi.h"

#define MIB		(1024ULL * 1024)
#define OUTPUT_MAX	(64u << 20)	/* bytes of console output between two states */

__attribute__((format(printf, 2, 3))) static int bad(struct stream *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->why, sizeof(s->why), format, ap);
	va_end(ap);
	return -1;
}

/* Reads a record that must be of one type. */
static int read_one(struct image *im, struct stream *s, uint32_t type)
{
	enum stream_got got = stream_get(s, &im->record);

	s->lost |= got == STREAM_OVER;
	if (got == STREAM_OVER)
		return bad(s, "%s ends before its record \"%s\"", s->name, move_name(type));
	if (got != STREAM_RECORD)
		return -1;
	if (im->record.type != type)
		return bad(s, "%s has a record \"%s\" where \"%s\" must be", s->name, move_name(im->record.type), move_name(type));
	return 0;
}

static int get_memory(struct image *im)
{
	uint64_t bytes = im->machine.memory * MIB, map = bytes / MOVE_PAGE / 8;

	im->data = calloc(1, map);
	im->next = calloc(1, map);
	im->next_data = calloc(1, map);
	if (!im->data || !im->next || !im->next_data || mem_init(&im->mem, bytes))
		return -1;
	if (mem_init(&im->next_mem, bytes)) {
		mem_free(&im->mem);
		return -1;
	}
	/* It has single pages here and there for a short time, each of which would take 2 MiB. */
	mem_no_huge(&im->next_mem);
	return 0;
}

int image_header(struct image *im, struct stream *s)
{
	struct move_machine *m = &im->machine;

	if (read_one(im, s, MOVE_MACHINE))
		return -1;
	memcpy(m, im->record.data, sizeof(*m));
	if (!m->nr_vcpus || m->nr_vcpus > ACPI_MAX_CPUS || !m->memory || m->memory > IMAGE_MEMORY_MAX || m->flags & ~MOVE_BARRIERS)
		return bad(s, "%s has an impossible machine: %u processors, %u MiB of memory, flags %#x", s->name, m->nr_vcpus,
			   m->memory, m->flags);
	if (im->memory_most && m->memory > im->memory_most)
		return bad(s, "%s has a guest with %u MiB of memory, and no more than %u MiB are accepted", s->name, m->memory,
			   im->memory_most);
	if (read_one(im, s, MOVE_POOL))
		return -1;
	im->pool.name = s->name;
	memcpy(&im->pool.p, im->record.data, sizeof(im->pool.p));
	if (pool_check(&im->pool.p))
		return bad(s, "%s has an impossible processor", s->name);
	return get_memory(im) ? bad(s, "there is no memory for a guest of %u MiB, of which the pages of two states are kept", m->memory) : 0;
}

/* The number of a page that exists, counted through all regions. */
static uint64_t page_number(const struct guest_mem *mem, uint64_t gpa)
{
	uint64_t before = 0;

	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct mem_region *r = &mem->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return (before + gpa - r->gpa) / MOVE_PAGE;
		before += r->size;
	}
	return 0;
}

static bool is_in(const uint8_t *map, uint64_t page)
{
	return map[page / 8] & 1 << page % 8;
}

static void put_in(uint8_t *map, uint64_t page, bool in)
{
	if (in)
		map[page / 8] |= 1 << page % 8;
	else
		map[page / 8] &= ~(1 << page % 8);
}

/* Gives memory a page, or zeros if @data is NULL. */
static void set_page(struct image *im, uint64_t page, uint8_t *to, const uint8_t *data)
{
	if (data)
		memcpy(to, data, MOVE_PAGE);
	else if (is_in(im->data, page))
		memset(to, 0, MOVE_PAGE);
	put_in(im->data, page, data);
}

/* Keeps a page, or zeros if @data is NULL, until the state is complete. */
static void keep_page(struct image *im, uint64_t page, uint8_t *to, const uint8_t *data)
{
	if (data)
		memcpy(to, data, MOVE_PAGE);
	put_in(im->next_data, page, data);
	put_in(im->next, page, true);
}

/* Takes pages, or zeros if @data is NULL. */
static int take_pages(struct image *im, struct stream *s, uint64_t gpa, uint64_t bytes, const uint8_t *data)
{
	struct guest_mem *mem = im->complete ? &im->next_mem : &im->mem;
	void (*take_page)(struct image *, uint64_t, uint8_t *, const uint8_t *) = im->complete ? keep_page : set_page;
	uint8_t *to = mem_at(mem, gpa, bytes);

	if (!to || gpa % MOVE_PAGE || bytes % MOVE_PAGE || !bytes)
		return bad(s, "%s has pages at %#llx, where the machine has no memory", s->name, (unsigned long long)gpa);
	im->pages += bytes / MOVE_PAGE;
	for (uint64_t n = page_number(mem, gpa), i = 0; i < bytes / MOVE_PAGE; i++)
		take_page(im, n + i, to + i * MOVE_PAGE, data ? data + i * MOVE_PAGE : NULL);
	return 0;
}

static int take_output(struct image *im, struct stream *s)
{
	uint8_t *more;

	if (im->output_next + im->record.length > OUTPUT_MAX)
		return bad(s, "%s has too much console output", s->name);
	more = realloc(im->output, im->output_next + im->record.length);
	if (!more)
		return bad(s, "there is no memory for console output");
	memcpy(more + im->output_next, im->record.data, im->record.length);
	im->output = more;
	im->output_next += im->record.length;
	return 0;
}

/* The pages that came since the last complete state become memory. */
static void merge_memory(struct image *im)
{
	uint64_t page = 0;

	for (unsigned int i = 0; i < im->mem.nr; i++) {
		for (uint64_t at = 0; at < im->mem.region[i].size; at += MOVE_PAGE, page++) {
			if (!is_in(im->next, page))
				continue;
			set_page(im, page, im->mem.region[i].host + at,
				 is_in(im->next_data, page) ? im->next_mem.region[i].host + at : NULL);
			put_in(im->next_data, page, false);
			put_in(im->next, page, false);
		}
		madvise(im->next_mem.region[i].host, im->next_mem.region[i].size, MADV_DONTNEED);
	}
}

static int complete(struct image *im, struct stream *s)
{
	uint32_t index, lacks = move_state_lacks(&im->next_state, im->machine.nr_vcpus, &index);

	if (lacks)
		return bad(s, "%s has no record \"%s\" of number %u", s->name, move_name(lacks), index);
	if (im->complete)
		merge_memory(im);
	move_state_free(&im->state);
	im->state = im->next_state;
	memset(&im->next_state, 0, sizeof(im->next_state));
	im->output_len = im->output_next;
	im->complete = true;
	return 0;
}

static int misplaced(const struct image *im, struct stream *s)
{
	return bad(s, "%s has a record \"%s\" where it must not be", s->name, move_name(im->record.type));
}

static int take_barrier(struct image *im, struct stream *s)
{
	struct move_barrier b;

	memcpy(&b, im->record.data, sizeof(b));
	if (!(im->machine.flags & MOVE_BARRIERS) || im->ended || b.seq != im->seq + 1 || b.reserved)
		return bad(s, "%s has barrier %llu where it must not be", s->name, (unsigned long long)b.seq);
	if (complete(im, s))
		return -1;
	im->seq = b.seq;
	return 0;
}

/* Takes a record of the machine. */
static int take(struct image *im, struct stream *s)
{
	struct record *r = &im->record;
	struct move_zero z;
	uint64_t gpa;

	if (im->ended)
		return bad(s, "%s has a record \"%s\" behind its end", s->name, move_name(r->type));
	switch (r->type) {
	case MOVE_PAGES:
		memcpy(&gpa, r->data, sizeof(gpa));
		return take_pages(im, s, gpa, r->length - sizeof(gpa), r->data + sizeof(gpa));
	case MOVE_ZERO:
		memcpy(&z, r->data, sizeof(z));
		return take_pages(im, s, z.gpa, z.bytes, NULL);
	case MOVE_OUTPUT:
		return take_output(im, s);
	case MOVE_IRQCHIP ... MOVE_INPUT:
	case MOVE_CPUID ... MOVE_DEBUG:
		if (r->type >= MOVE_CPUID && r->index >= im->machine.nr_vcpus)
			return bad(s, "%s has a record of processor %u, and the machine has %u", s->name, r->index, im->machine.nr_vcpus);
		if (!move_state_add(&im->next_state, r->type, r->index, r->data, r->length))
			return 0;
		return bad(s, "%s has the record \"%s\" of number %u twice", s->name, move_name(r->type), r->index);
	default:
		return misplaced(im, s);
	}
}

enum image_event image_read(struct image *im, struct stream *s)
{
	for (;;) {
		enum stream_got got = stream_get(s, &im->record);

		if (got == STREAM_OVER) {
			bad(s, "%s ends behind record %u, before its end", s->name, s->got);
			return IMAGE_LOST;
		}
		if (got != STREAM_RECORD)
			return s->lost ? IMAGE_LOST : IMAGE_BAD;
		switch (im->record.type) {
		case MOVE_BARRIER:
			return take_barrier(im, s) ? IMAGE_BAD : IMAGE_BARRIER;
		case MOVE_END:
			if (im->ended ? misplaced(im, s) : complete(im, s))
				return IMAGE_BAD;
			im->ended = true;
			return IMAGE_END;
		case MOVE_COMMIT:
			return !im->ended && misplaced(im, s) ? IMAGE_BAD : IMAGE_COMMIT;
		case MOVE_CANCEL:
			bad(s, "%.200s", record_text(&im->record));
			return IMAGE_CANCELLED;
		default:
			if (take(im, s))
				return IMAGE_BAD;
		}
	}
}

void image_free(struct image *im)
{
	move_state_free(&im->state);
	move_state_free(&im->next_state);
	mem_free(&im->mem);
	mem_free(&im->next_mem);
	free(im->data);
	free(im->next);
	free(im->next_data);
	free(im->output);
	record_free(&im->record);
}
