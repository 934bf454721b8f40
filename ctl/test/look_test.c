// SPDX-License-Identifier: GPL-2.0
/* Unit checks of the sentences for what the module refuses, an older module included. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "look.h"
#include "tap.h"

/* Whether look_error() prints a line with a text. */
static bool tells(int err, const char *want)
{
	int fd = memfd_create("messages", 0), saved = dup(STDERR_FILENO);
	char text[256] = "";

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		abort();
	look_error(3, err, "does not explain exits");
	dup2(saved, STDERR_FILENO);
	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		abort();
	close(fd);
	close(saved);
	return strstr(text, want);
}

int main(void)
{
	ok(strstr(look_memory_error(0x1008, EINVAL), "a VMCS's address is a multiple of 4096"));
	/* Such a module does not know the number of this kind of VMCS. */
	ok(strstr(look_memory_error(0x1000, EINVAL), "older than drostectl, and shows no VMCS in memory"));
	ok(strstr(look_memory_error(0x1000, ENXIO), "no memory there"));
	ok(tells(ENOTTY, "the module that is loaded is older than drostectl, and does not explain exits\n"));
	ok(tells(EINVAL, "the VM has no vCPU 3\n"));
	ok(tells(EPERM, "vCPU 3: Operation not permitted\n"));
	return tap_done();
}
