// SPDX-License-Identifier: GPL-2.0
/* Switches the terminal to raw mode and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "say.h"
#include "term.h"

static struct termios saved;
static bool is_raw;

/* Returns NULL in raw mode, the reason if it cannot be had, or "" without a terminal. */
static const char *enter_raw(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);
	static bool registered;
	struct termios raw;

	/*
	 * A background job that changed the terminal's mode would be stopped. On
	 * a terminal that is not the controlling one, tcgetpgrp() fails.
	 */
	if (foreground >= 0 && foreground != getpgrp()) {
		/* The shell has set the terminal's mode since. */
		is_raw = false;
		say_newline("\n");
		return "this is a background job";
	}
	if (!is_raw && tcgetattr(STDIN_FILENO, &saved))
		return "";
	raw = saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		return strerror(errno);
	is_raw = true;
	say_newline("\r\n");
	if (!registered)
		registered = !atexit(term_restore);
	return NULL;
}

bool term_raw(void)
{
	const char *why = enter_raw();

	if (why && *why)
		say("the terminal cannot be put into raw mode, so Ctrl-A x does nothing: %s",
		    why);
	return !why;
}

bool term_continued(void)
{
	return !enter_raw();
}

void term_restore(void)
{
	if (!is_raw)
		return;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	is_raw = false;
	say_newline("\n");
}
