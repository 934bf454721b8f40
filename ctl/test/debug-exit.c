// SPDX-License-Identifier: GPL-2.0
/*
 * Runs in a guest: "debug-exit N" writes N to drostectl's debug-exit port, which
 * ends the guest; drostectl's exit status is 32 + N modulo 64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#include "layout.h"

int main(int argc, char **argv)
{
	unsigned long val;
	char *end;

	if (argc != 2) {
		fprintf(stderr, "Usage: debug-exit N\n");
		return 2;
	}
	val = strtoul(argv[1], &end, 0);
	if (*end || end == argv[1]) {
		fprintf(stderr, "debug-exit: \"%s\" is not a number\n", argv[1]);
		return 2;
	}
	if (ioperm(PORT_DEBUG_EXIT, 4, 1)) {
		perror("debug-exit: ioperm");
		return 1;
	}
	outl(val, PORT_DEBUG_EXIT);
	/* Reached only if the port is not drostectl's. */
	return 1;
}
