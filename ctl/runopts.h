/* SPDX-License-Identifier: GPL-2.0 */
/* The options that say how a machine runs here, whether it is booted, restored or received. */
#ifndef DROSTECTL_RUNOPTS_H
#define DROSTECTL_RUNOPTS_H

#include <stdbool.h>

#include "mover.h"

/** struct run_options - how a machine runs here */
struct run_options {
	const char *device;
	const char *pin;	/* or NULL */
	bool trace, quiet, stats;
	struct move_options move;
};

/** enum run_option - the options' values for getopt_long() */
enum run_option {
	RUN_OPT_DEVICE = 512, RUN_OPT_PIN, RUN_OPT_TRACE, RUN_OPT_QUIET, RUN_OPT_STATS, RUN_OPT_SAVE, RUN_OPT_MIGRATE_TO,
	RUN_OPT_BARRIERS
};

/* The options' rows for getopt_long(). */
#define RUN_OPTIONS						\
	{ "device", required_argument, NULL, RUN_OPT_DEVICE },	\
	{ "pin", required_argument, NULL, RUN_OPT_PIN },	\
	{ "trace-unhandled", no_argument, NULL, RUN_OPT_TRACE },	\
	{ "quiet", no_argument, NULL, RUN_OPT_QUIET },		\
	{ "stats", no_argument, NULL, RUN_OPT_STATS },		\
	{ "save", required_argument, NULL, RUN_OPT_SAVE },	\
	{ "migrate-to", required_argument, NULL, RUN_OPT_MIGRATE_TO },	\
	{ "barriers", no_argument, NULL, RUN_OPT_BARRIERS }

/** run_option() - take one option; 0, or -1 if it is none of these */
int run_option(struct run_options *o, int opt, const char *arg);

#endif
