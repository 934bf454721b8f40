// SPDX-License-Identifier: GPL-2.0
/* Takes the options that say how a machine runs here. */
#include "runopts.h"

int run_option(struct run_options *o, int opt, const char *arg)
{
	switch (opt) {
	case RUN_OPT_DEVICE:
		o->device = arg;
		return 0;
	case RUN_OPT_PIN:
		o->pin = arg;
		return 0;
	case RUN_OPT_TRACE:
		o->trace = true;
		return 0;
	case RUN_OPT_QUIET:
		o->quiet = true;
		return 0;
	case RUN_OPT_STATS:
		o->stats = true;
		return 0;
	case RUN_OPT_SAVE:
		o->move.save = arg;
		return 0;
	case RUN_OPT_MIGRATE_TO:
		o->move.to = arg;
		return 0;
	case RUN_OPT_BARRIERS:
		o->move.barriers = true;
		return 0;
	default:
		return -1;
	}
}
