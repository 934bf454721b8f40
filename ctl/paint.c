// SPDX-License-Identifier: GPL-2.0
/* Colours of the output, on a terminal only. */
#include "paint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool colours;

void paint_begin_on(int fd)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	colours = isatty(fd) && !(no_colour && *no_colour) && term && strcmp(term, "dumb");
}

void paint_begin(void)
{
	paint_begin_on(STDOUT_FILENO);
}

const char *paint(const char *code)
{
	return colours ? code : "";
}
