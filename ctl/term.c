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

bool term_raw(void)
{
	pid_t foreground = tcgetpgrp(STDIN_FILENO);
	const char *why = NULL;
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved))
		return false;
	raw = saved;
	cfmakeraw(&raw);
	/*
	 * A background job that changed the terminal's mode would be stopped. On
	 * a terminal that is not the controlling one, tcgetpgrp() fails.
	 */
	if (foreground >= 0 && foreground != getpgrp())
		why = "this is a background job";
	else if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		why = strerror(errno);
	if (why) {
		say("the terminal cannot be put into raw mode, so Ctrl-A x does nothing: %s",
		    why);
		return false;
	}
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
