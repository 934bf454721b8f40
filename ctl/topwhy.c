// SPDX-License-Identifier: GPL-2.0
/* Counts why exits of L2 went to whom, by the kernel's histogram of the event droste_route. */
#include "topwhy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"
#include "tracefs.h"

#define EVENT	"events/droste/droste_route/"

#define NAME(nr, name, words)	[nr] = #name,
#define WORDS(nr, name, words)	[nr] = words,
static const char *const names[NR_ROUTE_WHY] = { ROUTE_WHYS(NAME, NAME) };
static const char *const sentences[NR_ROUTE_WHY] = { ROUTE_WHYS(WORDS, WORDS) };

static struct tracefs fs;

const char *why_name(int why)
{
	return names[why];
}

const char *why_words(int why)
{
	return sentences[why];
}

int why_begin(unsigned int vm, long vcpu)
{
	char trigger[128], more[32] = "";
	int err;

	if (tracefs_begin(&fs))
		return -1;
	if (vcpu >= 0)
		snprintf(more, sizeof(more), " && vcpu == %ld", vcpu);
	snprintf(trigger, sizeof(trigger), "hist:keys=why,to if vm == %u%s", vm, more);
	err = tracefs_put(&fs, EVENT "trigger", trigger);
	if (err)
		say("the kernel makes no histogram: %s", strerror(err));
	else
		err = tracefs_put(&fs, "tracing_on", "1");
	return err ? -1 : 0;
}

/* The number behind @key on a line. */
static unsigned long number(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoul(at + strlen(key), NULL, 10) : ~0ul;
}

void why_parse(struct why_counts *c, char *text)
{
	memset(c, 0, sizeof(*c));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long why = number(line, " why:"), to = number(line, " to:"), hits = number(line, " hitcount:");

		if (*line == '{' && why < NR_ROUTE_WHY && to < 2 && hits != ~0ul)
			*(to ? &c->to_l1[why] : &c->to_l0[why]) += hits;
	}
}

int why_read(struct why_counts *c)
{
	static char text[1 << 16];

	if (tracefs_get(&fs, EVENT "hist", text, sizeof(text)) < 0) {
		say("the kernel's histogram cannot be read");
		return -1;
	}
	why_parse(c, text);
	return 0;
}
