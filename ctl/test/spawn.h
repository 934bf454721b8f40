/* SPDX-License-Identifier: GPL-2.0 */
/* Runs drostectl-stub, the whole of drostectl with a stub in place of the KVM device. */
#ifndef DROSTECTL_TEST_SPAWN_H
#define DROSTECTL_TEST_SPAWN_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bzimage.h"
#include "nowms.h"

#define LIMIT_MS	120000	/* a wait that takes longer has failed, on a loaded machine, too */

static char stub[512];		/* path of drostectl-stub */
static char work[sizeof("/tmp/drostectl_test.XXXXXX")] = "/tmp/drostectl_test.XXXXXX";
static char kernel[64];		/* path of a bzImage */

/** enum target - the file that is a child's standard output */
enum target { TO_TERMINAL, TO_PIPE, TO_FULL, TO_NOTHING };

/** struct child - a running drostectl-stub */
struct child {
	pid_t pid;
	int in;			/* write here to be read: a terminal's master, or a pipe */
	int out;		/* its standard output: the master, a pipe, or -1 */
	int err;		/* its standard error: a pipe */
	char said[65536];	/* output that expect() has read */
	size_t nr_said;
	char told[65536];	/* messages that expect() has read */
	size_t nr_told;
};

/* Creates the files that all tests need. */
static inline int spawn_init(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	uint8_t image[BZIMAGE_SIZE];

	snprintf(stub, sizeof(stub), "%.*sdrostectl-stub",
		 slash ? (int)(slash + 1 - argv0) : 0, argv0);
	if (access(stub, X_OK) || !mkdtemp(work)) {
		perror(stub);
		return -1;
	}
	snprintf(kernel, sizeof(kernel), "%s/kernel", work);
	bzimage_make(image);
	write_file(kernel, image, sizeof(image));
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static inline void spawn_end(void)
{
	unlink(kernel);
	rmdir(work);
}

/* Opens a terminal. Returns its master, and the slave's name. */
static inline int open_terminal(char *name, size_t size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, name, size))
		abort();
	return master;
}

/* Starts a program with a terminal, or a pipe, as its standard input. */
static inline void start(struct child *c, const char *guest, bool terminal,
			 enum target target, void (*before)(void),
			 char *const argv[])
{
	int in[2], out[2], err[2];
	char name[64];

	memset(c, 0, sizeof(*c));
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		abort();
	c->in = terminal ? open_terminal(name, sizeof(name)) : in[1];
	c->err = err[0];
	fflush(stdout);
	c->pid = fork();
	if (!c->pid) {
		int fd;

		setsid();
		/* A test that is killed leaves none behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* A test that runs in the background may have some of them ignored. */
		signal(SIGPIPE, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		signal(SIGTSTP, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		setenv("STUB_GUEST", guest, 1);
		fd = terminal ? open(name, O_RDWR) : in[0];
		if (fd < 0)
			abort();
		dup2(fd, STDIN_FILENO);
		if (target == TO_PIPE)
			dup2(out[1], STDOUT_FILENO);
		else if (target == TO_FULL)
			dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
		else if (target == TO_NOTHING)
			close(STDOUT_FILENO);
		else
			dup2(fd, STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
		if (before)
			before();
		execv(argv[0], argv);
		_exit(127);
	}
	close(err[1]);
	close(in[0]);
	close(out[1]);
	if (terminal)
		close(in[1]);
	c->out = target == TO_TERMINAL ? c->in : target == TO_PIPE ? out[0] : -1;
	if (c->out != out[0])
		close(out[0]);
}

/* Reads what is there. Returns false at the end of the file. */
static inline bool drain(int fd, char *buf, size_t size, size_t *len)
{
	ssize_t n;

	if (*len >= size - 1)
		*len = 0;
	n = read(fd, buf + *len, size - 1 - *len);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	*len += n;
	buf[*len] = '\0';
	return true;
}

/* Waits until @text is in the standard output, or in the messages. */
static inline bool expect_in(struct child *c, const char *text, bool told, int limit)
{
	long end = now_ms() + limit;
	bool out_open = c->out >= 0, err_open = true;

	while (!memmem(told ? c->told : c->said, told ? c->nr_told : c->nr_said,
		       text, strlen(text))) {
		struct pollfd pfd[] = {
			{ .fd = out_open ? c->out : -1, .events = POLLIN },
			{ .fd = err_open ? c->err : -1, .events = POLLIN },
		};
		long left = end - now_ms();

		if (left <= 0 || (!out_open && !err_open))
			return false;
		if (poll(pfd, 2, left) <= 0)
			continue;
		if (pfd[0].revents)
			out_open = drain(c->out, c->said, sizeof(c->said), &c->nr_said);
		if (pfd[1].revents)
			err_open = drain(c->err, c->told, sizeof(c->told), &c->nr_told);
	}
	return true;
}

static inline bool says(struct child *c, const char *text)
{
	return expect_in(c, text, false, LIMIT_MS);
}

static inline bool tells(struct child *c, const char *text)
{
	return expect_in(c, text, true, LIMIT_MS);
}

static inline void type(struct child *c, const char *keys)
{
	if (write(c->in, keys, strlen(keys)) < 0)
		perror("write to the terminal");
}

/*
 * Waits for the end. Returns the exit status, 128 plus the signal, or -1 if it
 * did not end. Does not read the child's output, which may be stuck.
 */
static inline int status_of(struct child *c)
{
	long end = now_ms() + LIMIT_MS / 2;
	int status;
	pid_t pid;

	while (!(pid = waitpid(c->pid, &status, WNOHANG)) && now_ms() < end)
		usleep(2000);
	if (!pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, &status, 0);
		return -1;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Waits until no thread of a process runs, or wants to, for a while: it waits for a peer that does nothing, or has ended. */
static inline void wait_idle(pid_t pid)
{
	for (int idle = 0; idle < 20; idle++) {
		char name[64], state = 0;
		struct dirent *task;
		DIR *dir;

		usleep(10000);
		snprintf(name, sizeof(name), "/proc/%d/task", pid);
		dir = opendir(name);
		if (!dir)
			return;
		while ((task = readdir(dir))) {
			FILE *f;

			snprintf(name, sizeof(name), "/proc/%d/task/%.10s/stat", pid, task->d_name);
			f = task->d_name[0] == '.' ? NULL : fopen(name, "r");
			if (!f)
				continue;
			if (fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state != 'S')
				idle = state == 'Z' ? 20 : 0;
			fclose(f);
		}
		closedir(dir);
	}
}

/* Reads the rest of the messages of a child that has ended, and closes its files. */
static inline void finish(struct child *c)
{
	expect_in(c, "\377", true, 200);
	if (c->out >= 0 && c->out != c->in)
		close(c->out);
	if (c->in >= 0)
		close(c->in);
	close(c->err);
}

/* How often a text is in the messages. */
static inline int times_told(const struct child *c, const char *text)
{
	int n = 0;

	for (const char *at = c->told; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* Runs to the end with input that ends at once. Returns the exit status. */
static inline int run_to_end(struct child *c, const char *guest, enum target target,
			     char *const argv[])
{
	int status;

	start(c, guest, false, target, NULL, argv);
	close(c->in);
	c->in = -1;
	/* It ends when both files are closed. */
	expect_in(c, "\377", true, LIMIT_MS);
	status = status_of(c);
	finish(c);
	return status;
}

#endif
