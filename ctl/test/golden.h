/* SPDX-License-Identifier: GPL-2.0 */
/* Compares what a function prints with a file, line by line. */
#ifndef DROSTECTL_TEST_GOLDEN_H
#define DROSTECTL_TEST_GOLDEN_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

/* Standard output of @print, as a string. */
static inline char *golden_printed(void (*print)(void))
{
	static char text[65536];
	int fd = memfd_create("golden", 0), saved = dup(STDOUT_FILENO);

	fflush(stdout);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		exit(1);
	print();
	fflush(stdout);
	memset(text, 0, sizeof(text));
	dup2(saved, STDOUT_FILENO);
	close(saved);
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		exit(1);
	close(fd);
	return text;
}

/* Compares the lines that @print prints with those of the file @name; or makes the file. Returns main()'s return value. */
static inline int golden_check(const char *name, bool make, void (*print)(void))
{
	FILE *f = fopen(name, make ? "w" : "r");
	char *line, *next, want[400];

	if (!f) {
		printf("1..0 # cannot open %s\n", name);
		return 1;
	}
	if (make) {
		fputs(golden_printed(print), f);
		return fclose(f);
	}
	for (line = golden_printed(print); *line; line = next) {
		next = strchr(line, '\n') + 1;
		next[-1] = 0;
		tap_result(fgets(want, sizeof(want), f) && !strncmp(line, want, strlen(line)) && want[strlen(line)] == '\n', __FILE__,
			   __LINE__, line);
	}
	tap_result(!fgets(want, sizeof(want), f), __FILE__, __LINE__, "nothing is missing");
	fclose(f);
	return tap_done();
}

#endif
