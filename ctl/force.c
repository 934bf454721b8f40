// SPDX-License-Identifier: GPL-2.0
/* Exits that a VM need not have: --force-exits of drostectl run. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../uapi/linux/droste.h"
#include "force.h"
#include "say.h"

static const struct {
	const char *name;
	uint64_t bit;
} names[] = {
	{ "cr3-load", DROSTE_FORCE_CR3_LOAD },
	{ "cr3-store", DROSTE_FORCE_CR3_STORE },
	{ "invlpg", DROSTE_FORCE_INVLPG },
	{ "rdtsc", DROSTE_FORCE_RDTSC },
	{ "rdpmc", DROSTE_FORCE_RDPMC },
	{ "tables", DROSTE_FORCE_TABLES },
	{ "rdrand", DROSTE_FORCE_RDRAND },
	{ "rdseed", DROSTE_FORCE_RDSEED },
	{ "pause", DROSTE_FORCE_PAUSE },
};

#define NR_NAMES	(sizeof(names) / sizeof(names[0]))

int force_parse(const char *text, uint64_t *mask)
{
	const char *at = text;

	*mask = 0;
	if (!strcmp(text, "all")) {
		*mask = FORCE_ALL;
		return 0;
	}
	for (;;) {
		size_t len = strcspn(at, ","), i;

		for (i = 0; i < NR_NAMES; i++)
			if (strlen(names[i].name) == len && !memcmp(at, names[i].name, len))
				break;
		if (i == NR_NAMES) {
			say("--force-exits expects \"all\", or some of cr3-load, cr3-store, invlpg, rdtsc, rdpmc, tables, rdrand, rdseed, pause, with commas between them, not \"%s\"",
			    text);
			return -1;
		}
		*mask |= names[i].bit;
		if (!at[len])
			return 0;
		at += len + 1;
	}
}

int force_apply(int vm_fd, uint64_t mask)
{
	struct droste_force_exits f = { 0 };

	if (ioctl(vm_fd, DROSTE_GET_FORCE_EXITS, &f)) {
		say("--force-exits needs /dev/droste: %s", strerror(errno));
		return -1;
	}
	if (mask == FORCE_ALL)
		mask = f.supported;
	for (size_t i = 0; i < NR_NAMES; i++) {
		if (!(mask & names[i].bit & ~f.supported))
			continue;
		say("--force-exits: this processor has no exits for \"%s\"", names[i].name);
		return -1;
	}
	f = (struct droste_force_exits) { .mask = mask };
	if (ioctl(vm_fd, DROSTE_FORCE_EXITS, &f)) {
		say("DROSTE_FORCE_EXITS failed: %s", strerror(errno));
		return -1;
	}
	return 0;
}
