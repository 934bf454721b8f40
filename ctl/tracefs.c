// SPDX-License-Identifier: GPL-2.0
/* An instance of tracefs with Droste's events. */
#include "tracefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

#define MODULE	"/sys/module/droste"
#define PREFIX	"drostectl-"

static const char *const mounts[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
static char instance[96];	/* what exit() and signals have to remove */

const struct tracefs_count tracefs_counts[] = {
	{ "events/droste/droste_exit/trigger", "events/droste/droste_exit/hist", "hist:keys=level", "!hist:keys=level" },
	{ "events/droste/droste_run/trigger", "events/droste/droste_run/hist", "hist:keys=enter", "!hist:keys=enter" },
};

static int instance_pipe = -1;

static bool there(const char *dir, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return !access(path, F_OK);
}

const char *tracefs_missing(const char *mount, const char *module)
{
	if (access(mount, X_OK) && errno == EACCES)
		return "only root may trace";
	if (access(mount, F_OK))
		return "the kernel has no tracefs (CONFIG_TRACING)";
	if (!there(mount, "trace_clock"))
		return "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing";
	if (access(module, F_OK))
		return "the module droste is not loaded, so there are none of its events: modprobe droste";
	if (!there(mount, "events/droste"))
		return "the module has no events: it was loaded by force, or the kernel has no tracepoints";
	if (!there(mount, "instances"))
		return "the kernel's tracefs has no instances";
	return NULL;
}

static const char *mounted(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
		if (there(mounts[i], "trace_clock"))
			return mounts[i];
	return mounts[0];
}

/* A drostectl that lives keeps its trace_pipe open, so that its instance cannot be removed. */
static void remove_left_over(const char *mount)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/instances", mount);
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)) && !unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR))
			say("removed %s/%s, which a drostectl that was killed had left", path, e->d_name);
	closedir(d);
}

/* Like tracefs_put(), with functions that a handler may call. */
static void put_at(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A trigger may not be there. */
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

int tracefs_remove(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		put_at(dir, "tracing_on", "0");
		put_at(dir, "events/enable", "0");
		for (size_t i = 0; i < sizeof(tracefs_counts) / sizeof(tracefs_counts[0]); i++)
			put_at(dir, tracefs_counts[i].trigger, tracefs_counts[i].remove);
		close(dir);
	}
	return rmdir(path) ? errno : 0;
}

/* Returns 0, or errno if the instance stays. */
static int remove_instance(void)
{
	int err = 0;

	if (instance_pipe >= 0)
		close(instance_pipe);
	instance_pipe = -1;
	if (*instance)
		err = tracefs_remove(instance);
	return err;
}

static void remove_and_tell(void)
{
	int err = remove_instance();

	if (err)
		say("%s stays, with its events off: %s%s", instance, strerror(err), err == EBUSY ? "; another program has it open" : "");
	*instance = 0;
}

/* It calls functions only that a handler may call. */
static void remove_and_die(int sig)
{
	static const char stays[] = " stays, with its events off\n";

	if (remove_instance() == EBUSY && write(STDERR_FILENO, instance, strlen(instance)) > 0 &&
	    write(STDERR_FILENO, stays, sizeof(stays) - 1) < 0)
		errno = 0;
	*instance = 0;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void remove_at_signals(void)
{
	static const int fatal[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		if (signal(fatal[i], remove_and_die) == SIG_IGN)
			signal(fatal[i], SIG_IGN);
}

int tracefs_begin(struct tracefs *t)
{
	const char *mount = mounted(), *missing = tracefs_missing(mount, MODULE);
	char path[PATH_MAX];

	t->pipe = -1;
	*t->dir = 0;
	if (missing) {
		say("%s", missing);
		return -1;
	}
	remove_left_over(mount);
	snprintf(t->dir, sizeof(t->dir), "%s/instances/" PREFIX "%d", mount, getpid());
	atexit(remove_and_tell);
	remove_at_signals();
	if (mkdir(t->dir, 0700)) {
		say("%s: %s", t->dir, strerror(errno));
		*t->dir = 0;
		return -1;
	}
	memcpy(instance, t->dir, sizeof(instance));
	snprintf(path, sizeof(path), "%s/trace_pipe", t->dir);
	t->pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	instance_pipe = t->pipe;
	if (t->pipe >= 0 && !tracefs_put(t, "tracing_on", "0"))
		return 0;
	say("%s: %s%s", path, strerror(errno), errno == EPERM ? "; is the kernel locked down?" : "");
	tracefs_end(t);
	return -1;
}

void tracefs_end(struct tracefs *t)
{
	t->pipe = -1;
	*t->dir = 0;
	remove_and_tell();
}

static int write_file(const struct tracefs *t, const char *file, const char *text, int flags)
{
	char path[PATH_MAX];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", t->dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

int tracefs_put(const struct tracefs *t, const char *file, const char *text)
{
	return write_file(t, file, text, O_TRUNC);
}

int tracefs_add(const struct tracefs *t, const char *file, const char *text)
{
	return write_file(t, file, text, O_APPEND);
}

long tracefs_get(const struct tracefs *t, const char *file, char *text, size_t size)
{
	char path[PATH_MAX];
	size_t len = 0;
	ssize_t n;
	int fd;

	*text = 0;
	snprintf(path, sizeof(path), "%s/%s", t->dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += n;
	text[len] = 0;
	close(fd);
	return n < 0 ? -1 : (long)len;
}

/* Calls @each for each directory in a directory of the instance, in the order of their names. */
static int walk(const struct tracefs *t, const char *dir, int (*each)(const char *name, void *arg), void *arg)
{
	char path[PATH_MAX];
	struct dirent **list;
	int n, ret = 0;

	snprintf(path, sizeof(path), "%s/%s", t->dir, dir);
	n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		if (list[i]->d_type == DT_DIR && list[i]->d_name[0] != '.' && !ret)
			ret = each(list[i]->d_name, arg);
		free(list[i]);
	}
	free(list);
	return ret;
}

int tracefs_events(const struct tracefs *t, int (*each)(const char *event, void *arg), void *arg)
{
	return walk(t, "events/droste", each, arg);
}

unsigned long long tracefs_stat(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, name, len) && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10);
	return 0;
}

struct losses {
	const struct tracefs *t;
	unsigned long long lost;
};

static int add_losses(const char *cpu, void *arg)
{
	struct losses *l = arg;
	char file[64], text[1024];

	snprintf(file, sizeof(file), "per_cpu/%.32s/stats", cpu);
	tracefs_get(l->t, file, text, sizeof(text));
	l->lost += tracefs_stat(text, "overrun") + tracefs_stat(text, "commit overrun") + tracefs_stat(text, "dropped events");
	return 0;
}

unsigned long long tracefs_lost(const struct tracefs *t)
{
	struct losses l = { .t = t };

	walk(t, "per_cpu", add_losses, &l);
	return l.lost;
}
