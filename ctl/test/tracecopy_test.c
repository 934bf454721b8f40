// SPDX-License-Identifier: GPL-2.0
/* Unit checks of how drostectl trace copies events: limits, outputs that fail, lines that it does not understand, the file's mode. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"
#include "tracecopy.h"

#define EVENT	"        badentry-135     [001] .....   123.456789: droste_run: vm 1 vcpu 0 L1 seq 9: enter kvm_exit_reason 0 ret 0\n"
#define MIB	(1 << 20)

/* A file with a text again and again, at least @size bytes; its descriptor. */
static int filled(const char *text, size_t size)
{
	char name[] = "/tmp/tracecopy_test.XXXXXX";
	int fd = mkstemp(name);

	for (size_t len = 0; len < size; len += strlen(text))
		if (write(fd, text, strlen(text)) < 0)
			abort();
	unlink(name);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* The buffer of a host whose VMs are busy never is empty. */
static void limits(void)
{
	static struct trace_copy c;
	off_t at;

	c = (struct trace_copy) { .pipe = filled(EVENT, 4 * MIB), .out = fopen("/dev/null", "w") };
	trace_copy(&c, MIB);
	at = lseek(c.pipe, 0, SEEK_CUR);
	ok(at >= MIB && at < MIB + (int)sizeof(c.rest));
	ok(c.kept == (at - c.nr_rest) / strlen(EVENT));
	trace_copy(&c, 0);
	ok(c.kept == (4 * MIB + strlen(EVENT) - 1) / strlen(EVENT) && !c.nr_rest && !c.lost_output);
	close(c.pipe);
	fclose(c.out);
}

static void full_disk(void)
{
	static struct trace_copy c;

	c = (struct trace_copy) { .pipe = filled(EVENT, 4 * MIB), .out = fopen("/dev/full", "w") };
	trace_copy(&c, 0);
	ok(c.lost_output == ENOSPC);
	ok(lseek(c.pipe, 0, SEEK_CUR) < MIB);
	errno = EPERM;
	trace_copy(&c, MIB);
	ok(c.lost_output == ENOSPC);
	close(c.pipe);
	fclose(c.out);
}

/* A process may have a newline in its name, and an instance options that change the lines. */
static void strange_lines(void)
{
	const char *const text = "# tracer: nop\n"
				 "           evil\nx-135     [001] .....   123.456789: droste_run: vm 1 vcpu 0 L1 seq 9: enter\n"
				 EVENT
				 "        badentry-135     [001] .....   123.456790: sched_switch: prev_comm=a\n";
	static struct trace_copy c;

	c = (struct trace_copy) { .pipe = filled(text, 1), .out = fopen("/dev/null", "w") };
	trace_copy(&c, 0);
	ok(c.kept == 1 && c.strange == 1);
	close(c.pipe);
	fclose(c.out);
}

/* Events contain what guests have in registers and memory. */
static void modes(void)
{
	char dir[] = "/tmp/tracecopy_test.XXXXXX", path[64];
	struct stat st;
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	umask(022);
	snprintf(path, sizeof(path), "%s/out", dir);
	f = trace_create(path);
	ok(f && !fstat(fileno(f), &st) && (st.st_mode & 0777) == 0600);
	ok(f && fcntl(fileno(f), F_GETFD) == FD_CLOEXEC);
	ok(f && fputs("old", f) >= 0 && !fclose(f));
	f = trace_create(path);
	ok(f && !fstat(fileno(f), &st) && !st.st_size && !fclose(f));
	unlink(path);
	rmdir(dir);
	ok(!trace_create(path) && errno == ENOENT);
}

int main(void)
{
	limits();
	full_disk();
	strange_lines();
	modes();
	return tap_done();
}
