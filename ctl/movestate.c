// SPDX-License-Identifier: GPL-2.0
/* Keeps the records of one complete state of a machine. */
#include "movestate.h"

#include <stdlib.h>
#include <string.h>

/* Those of each vCPU. */
static const uint32_t of_vcpu[] = {
	MOVE_CPUID, MOVE_SREGS, MOVE_LAPIC, MOVE_REGS, MOVE_XSAVE, MOVE_MSRS, MOVE_EVENTS, MOVE_MP, MOVE_DEBUG,
};

static const struct {
	uint32_t type, index;
} of_machine[] = {
	{ MOVE_IRQCHIP, 0 }, { MOVE_IRQCHIP, 1 }, { MOVE_IRQCHIP, 2 }, { MOVE_PIT, 0 }, { MOVE_CLOCK, 0 },
	{ MOVE_SERIAL, 0 }, { MOVE_RTC, 0 }, { MOVE_POWER, 0 }, { MOVE_INPUT, 0 },
};

#define NR(array)	(sizeof(array) / sizeof((array)[0]))

const struct part *move_state_find(const struct move_state *s, uint32_t type, uint32_t index)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->part[i].type == type && s->part[i].index == index)
			return &s->part[i];
	return NULL;
}

int move_state_add(struct move_state *s, uint32_t type, uint32_t index, const void *data, size_t len)
{
	struct part *p;

	if (move_state_find(s, type, index))
		return -1;
	if (s->nr == s->room) {
		size_t room = s->room ? 2 * s->room : 32;

		p = realloc(s->part, room * sizeof(*p));
		if (!p)
			return -1;
		s->part = p;
		s->room = room;
	}
	p = &s->part[s->nr];
	*p = (struct part) { type, index, len, malloc(len ? len : 1) };
	if (!p->data)
		return -1;
	memcpy(p->data, data, len);
	s->nr++;
	return 0;
}

uint32_t move_state_lacks(const struct move_state *s, uint32_t nr_vcpus, uint32_t *index)
{
	for (size_t i = 0; i < NR(of_machine); i++) {
		*index = of_machine[i].index;
		if (!move_state_find(s, of_machine[i].type, *index))
			return of_machine[i].type;
	}
	for (*index = 0; *index < nr_vcpus; ++*index)
		for (size_t i = 0; i < NR(of_vcpu); i++)
			if (!move_state_find(s, of_vcpu[i], *index))
				return of_vcpu[i];
	return 0;
}

int move_state_put(const struct move_state *s, struct stream *to)
{
	for (size_t i = 0; i < s->nr; i++)
		if (stream_put(to, s->part[i].type, s->part[i].index, s->part[i].data, s->part[i].length))
			return -1;
	return 0;
}

void move_state_free(struct move_state *s)
{
	while (s->nr)
		free(s->part[--s->nr].data);
	free(s->part);
	memset(s, 0, sizeof(*s));
}
