// SPDX-License-Identifier: GPL-2.0
/* Checks the guest's console on a pseudo terminal, pipes and a full disk. */
#include <sys/ioctl.h>
#include <termios.h>

#include "spawn.h"
#include "tap.h"

#define ESCAPE_X	"\001x"
#define OUTPUT_LOST	8	/* exit status */

static struct child c;

static char *const run_argv[] = {
	stub, "run", "--device", "/dev/null", "--kernel", kernel, "--memory",
	"16", NULL
};

static void on_terminal(const char *guest)
{
	start(&c, guest, true, TO_TERMINAL, NULL, run_argv);
}

static void ignore_sigpipe(void)
{
	signal(SIGPIPE, SIG_IGN);
}

/* Whether the terminal has the mode that a shell left it in. */
static bool is_cooked(void)
{
	struct termios t;

	return !tcgetattr(c.in, &t) && t.c_lflag & ICANON && t.c_lflag & ECHO;
}

static void check_keys(void)
{
	on_terminal("echo");
	ok(tells(&c, "Ctrl-A x ends the guest"));
	ok(says(&c, "READY"));
	ok(!is_cooked());
	type(&c, "abc");
	ok(says(&c, "abc"));
	type(&c, "[\001\001]");
	ok(says(&c, "[\001]"));
	type(&c, "\001b");
	ok(says(&c, "\001b"));
	type(&c, "q");
	ok(status_of(&c) == 0);
	ok(is_cooked());
	finish(&c);
	ok(times_told(&c, "the guest powered off") == 1);
}

/* Gives up the controlling terminal, which hangs up on its session's leader. */
static void disown_terminal(void)
{
	signal(SIGHUP, SIG_IGN);
	if (ioctl(STDIN_FILENO, TIOCNOTTY))
		abort();
	signal(SIGHUP, SIG_DFL);
}

/* The escape works on a terminal that is not the controlling one. */
static void check_other_terminal(void)
{
	start(&c, "deaf", true, TO_TERMINAL, disown_terminal, run_argv);
	ok(tells(&c, "Ctrl-A x ends the guest"));
	ok(says(&c, "READY"));
	ok(!is_cooked());
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	ok(is_cooked());
	finish(&c);
}

/*
 * Runs the program as a job, in a process group of its own. The session's
 * leader waits for it and exits with its status, as a shell does.
 */
static void become_job(bool foreground)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 126);
	}
	setpgid(0, 0);
	signal(SIGTTOU, SIG_IGN);
	if (foreground && tcsetpgrp(STDIN_FILENO, getpid()))
		abort();
	signal(SIGTTOU, SIG_DFL);
}

static void in_background(void)
{
	become_job(false);
}

/* A background job must not change the terminal's mode. */
static void check_background(void)
{
	start(&c, "brief", true, TO_PIPE, in_background, run_argv);
	ok(status_of(&c) == 0);
	ok(is_cooked());
	finish(&c);
	ok(times_told(&c, "cannot be put into raw mode") == 1);
	ok(times_told(&c, "Ctrl-A x ends the guest") == 0);
}

/* A guest that has panicked reads nothing. */
static void check_deaf(void)
{
	on_terminal("deaf");
	ok(says(&c, "READY"));
	type(&c, "hello\r");
	usleep(100000);
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	ok(is_cooked());
	finish(&c);
	ok(times_told(&c, "ended by Ctrl-A x") == 1);

	/* The two keys of the escape arrive separately. */
	on_terminal("deaf");
	ok(says(&c, "READY"));
	type(&c, "h");
	usleep(50000);
	type(&c, "\001");
	usleep(50000);
	type(&c, "x");
	ok(status_of(&c) == 7);
	finish(&c);
}

/* Types more than is kept. The surplus is dropped, with a bell. */
static void check_flood(void)
{
	static char keys[1024];
	long end = now_ms() + LIMIT_MS / 2;
	size_t sent = 0;

	memset(keys, 'k', sizeof(keys));
	on_terminal("deaf");
	ok(says(&c, "READY"));
	fcntl(c.in, F_SETFL, O_NONBLOCK);
	while (sent < 300000 && now_ms() < end) {
		ssize_t n = write(c.in, keys, sizeof(keys));

		if (n > 0)
			sent += n;
		else
			usleep(1000);
	}
	fcntl(c.in, F_SETFL, 0);
	ok(sent >= 300000);
	ok(says(&c, "\a"));
	if (sent >= 300000)
		type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	finish(&c);
}

/* Keys typed before the guest reads are kept, in their order. */
static void check_type_ahead(void)
{
	on_terminal("late");
	ok(says(&c, "READY"));
	for (char i = 'a'; i <= 'p'; i++) {
		type(&c, (char[]){ i, '0', '-', '\0' });
		usleep(2000);
	}
	ok(says(&c, "a0-b0-c0-d0-e0-f0-g0-h0-i0-j0-k0-l0-m0-n0-o0-p0-"));
	type(&c, "q");
	ok(status_of(&c) == 0);
	finish(&c);
}

/* An unfinished line is shown without waiting for its end. */
static void check_prompt(void)
{
	on_terminal("prompt");
	ok(says(&c, "login: "));
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	finish(&c);
}

/* A file as input arrives complete, whatever is in it. */
static void check_file_input(void)
{
	static char data[200001];
	unsigned int sum = 0;
	char want[64];
	pid_t writer;

	for (size_t i = 0; i < sizeof(data) - 1; i++) {
		data[i] = i % 4001 == 0 ? '\001' : i % 4001 == 1 ? 'x' : 'a' + i % 23;
		sum = sum * 31 + data[i];
	}
	data[sizeof(data) - 1] = '!';
	snprintf(want, sizeof(want), "%zu bytes, sum %08x\n", sizeof(data) - 1, sum);
	start(&c, "count", false, TO_PIPE, NULL, run_argv);
	writer = fork();
	if (!writer)
		_exit(write(c.in, data, sizeof(data)) != sizeof(data));
	close(c.in);
	c.in = -1;
	ok(says(&c, want));
	ok(status_of(&c) == 0);
	waitpid(writer, NULL, 0);
	finish(&c);
	ok(times_told(&c, "Ctrl-A x") == 0);
}

/* A closed pipe ends the run as it ends any filter. */
static void check_closed_pipe(void)
{
	start(&c, "chatty", true, TO_PIPE, NULL, run_argv);
	ok(says(&c, "another"));
	close(c.out);
	c.out = -1;
	ok(status_of(&c) == 128 + SIGPIPE);
	ok(is_cooked());
	finish(&c);

	/* A program that was started with SIGPIPE ignored reports an error instead. */
	start(&c, "chatty", true, TO_PIPE, ignore_sigpipe, run_argv);
	ok(says(&c, "another"));
	close(c.out);
	c.out = -1;
	ok(status_of(&c) == OUTPUT_LOST);
	finish(&c);
	ok(times_told(&c, "Broken pipe") == 1);
}

static void check_full_disk(void)
{
	start(&c, "chatty", true, TO_FULL, NULL, run_argv);
	ok(status_of(&c) == OUTPUT_LOST);
	ok(is_cooked());
	finish(&c);
	ok(times_told(&c, "No space left on device") == 1);

	/* The failure counts although the guest powers off by itself. */
	start(&c, "brief", true, TO_FULL, NULL, run_argv);
	ok(status_of(&c) == OUTPUT_LOST);
	finish(&c);
	ok(times_told(&c, "No space left on device") == 1);
}

static void check_no_output(void)
{
	start(&c, "chatty", true, TO_NOTHING, NULL, run_argv);
	ok(status_of(&c) == 2);
	finish(&c);
	ok(times_told(&c, "standard output is closed") == 1);
}

static void check_signal(int sig)
{
	on_terminal("deaf");
	ok(says(&c, "READY"));
	kill(c.pid, sig);
	ok(status_of(&c) == 7);
	ok(is_cooked());
	finish(&c);
	ok(times_told(&c, "ended by signal") == 1);
}

/* Waits until is_cooked() returns a value. Returns whether it did in time. */
static bool becomes_cooked(bool cooked)
{
	long end = now_ms() + LIMIT_MS / 2;

	while (is_cooked() != cooked && now_ms() < end)
		usleep(2000);
	return is_cooked() == cooked;
}

/* Waits until a process is stopped. Returns whether it was in time. */
static bool is_stopped(pid_t pid)
{
	long end = now_ms() + LIMIT_MS / 2;
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'T' && now_ms() < end) {
		FILE *f = fopen(path, "r");

		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		if (f)
			fclose(f);
		usleep(2000);
	}
	return state == 'T';
}

static void in_foreground(void)
{
	become_job(true);
}

/* The shell has the terminal while the program is stopped. */
static void check_stop(void)
{
	pid_t job;

	start(&c, "echo", true, TO_TERMINAL, in_foreground, run_argv);
	ok(says(&c, "READY"));
	job = tcgetpgrp(c.in);
	ok(job > 0 && job != c.pid && becomes_cooked(false));
	for (int i = 0; i < 2 && job > 0; i++) {
		kill(job, SIGTSTP);
		ok(is_stopped(job));
		ok(is_cooked());
		kill(job, SIGCONT);
		ok(becomes_cooked(false));
	}
	type(&c, "abc");
	ok(says(&c, "abc"));
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	ok(is_cooked());
	finish(&c);

	/* The program has no shell that could continue it, so it is not stopped. */
	on_terminal("deaf");
	ok(says(&c, "READY"));
	kill(c.pid, SIGTSTP);
	usleep(100000);
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	ok(is_cooked());
	finish(&c);
}

static void ignore_hangup(void)
{
	signal(SIGHUP, SIG_IGN);
}

/* A signal that was ignored at the start stays ignored, as nohup(1) wants it. */
static void check_nohup(void)
{
	start(&c, "deaf", true, TO_TERMINAL, ignore_hangup, run_argv);
	ok(says(&c, "READY"));
	kill(c.pid, SIGHUP);
	usleep(300000);
	kill(c.pid, SIGTERM);
	ok(status_of(&c) == 7);
	finish(&c);
	ok(times_told(&c, "ended by signal 15") == 1);
}

/* Nobody reads the pipe, so the guest is stuck in the middle of its output. */
static void check_stuck_output(void)
{
	start(&c, "chatty", true, TO_PIPE, NULL, run_argv);
	ok(tells(&c, "Ctrl-A x"));
	usleep(300000);
	type(&c, "typed");
	usleep(50000);
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	finish(&c);

	start(&c, "chatty", true, TO_PIPE, NULL, run_argv);
	ok(tells(&c, "Ctrl-A x"));
	usleep(300000);
	kill(c.pid, SIGTERM);
	ok(status_of(&c) == 7);
	finish(&c);

	/* The terminal takes no output either, as after Ctrl-S. */
	on_terminal("chatty");
	usleep(500000);
	type(&c, "typed");
	usleep(50000);
	type(&c, ESCAPE_X);
	ok(status_of(&c) == 7);
	finish(&c);
}

/* The terminal goes away. */
static void check_hangup(void)
{
	on_terminal("deaf");
	ok(says(&c, "READY"));
	close(c.in);
	c.in = -1;
	c.out = -1;
	ok(status_of(&c) == 7);
	finish(&c);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	check_keys();
	check_other_terminal();
	check_background();
	check_deaf();
	check_flood();
	check_type_ahead();
	check_prompt();
	check_file_input();
	check_closed_pipe();
	check_full_disk();
	check_no_output();
	check_signal(SIGINT);
	check_signal(SIGQUIT);
	check_signal(SIGTERM);
	check_signal(SIGHUP);
	check_stop();
	check_nohup();
	check_stuck_output();
	check_hangup();
	spawn_end();
	return tap_done();
}
