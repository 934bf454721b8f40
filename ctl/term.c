// SPDX-License-Identifier: GPL-2.0
/* Switches the terminal to raw mode and back. */
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "say.h"
#include "term.h"

static struct termios saved;
static bool is_raw;

bool term_raw(void)
{
	struct termios raw;

	/* A background job that changed the terminal's mode would be stopped. */
	if (tcgetattr(STDIN_FILENO, &saved) ||
	    tcgetpgrp(STDIN_FILENO) != getpgrp())
		return false;
	raw = saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		return false;
	is_raw = true;
	say_newline("\r\n");
	atexit(term_restore);
	return true;
}

void term_restore(void)
{
	if (!is_raw)
		return;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = false;
	say_newline("\n");
}
