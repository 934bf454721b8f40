// SPDX-License-Identifier: GPL-2.0
/*
 * Carries bytes between the serial port and standard input and output.
 *
 * The vCPU thread that sends output also writes it, one line at a time; an
 * unfinished line is written when a timer expires. That thread holds the bus
 * lock, possibly for long if nobody reads the output. The console's loop
 * therefore never waits for the lock or for the output, so that it always sees
 * the escape keys and the signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "layout.h"
#include "mover.h"
#include "say.h"
#include "term.h"

#define ESCAPE_KEY	0x01	/* Ctrl-A */
#define FLUSH_AFTER_NS	20000000
#define RETRY_MS	5	/* while the bus lock or the output is busy */

/* Returns whether the signal ends the run. Two threads may see one signal: the other one may have taken it. */
static bool signal_came(struct console *c)
{
	struct signalfd_siginfo info;
	bool ends;

	if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	ends = info.ssi_signo != SIGUSR1;
	if (ends)
		vm_end(c->vm, RUN_STOPPED, 0, NULL, "ended by signal %u (%s)",
		       info.ssi_signo, strsignal(info.ssi_signo));
	else
		mover_ask(c->vm->mover);
	return ends;
}

/* A reader that stopped for good must not keep a run that was ended from outside. */
static bool stopped(struct console *c)
{
	return __atomic_load_n(&c->vm->stopped, __ATOMIC_ACQUIRE);
}

/*
 * Waits until standard output accepts bytes. A signal ends the wait and the
 * run, and drops the output, even if the guest has ended by itself.
 */
static void wait_for_output(struct console *c)
{
	struct pollfd pfd[] = {
		{ .fd = c->out_fd, .events = POLLOUT },
		{ .fd = c->signal_fd, .events = POLLIN },
		{ .fd = vm_ended(c->vm) ? -1 : c->vm->wake_fd, .events = POLLIN },
	};

	if (!stopped(c) && poll(pfd, 3, -1) > 0 && !pfd[0].revents && pfd[1].revents && signal_came(c))
		c->dropped = true;
	if (stopped(c))
		c->dropped = true;
}

static void output_failed(struct console *c, int err)
{
	c->error = err;
	c->dropped = true;
	vm_end(c->vm, RUN_OUTPUT_LOST, 0, NULL, CONSOLE_LOST, strerror(err));
}

/*
 * Writes until the output would block. Returns whether all bytes were written
 * or dropped. The buffer is no larger than PIPE_BUF, so a pipe takes it in one
 * write. Caller holds the bus lock.
 */
static bool write_some(struct console *c)
{
	while (c->out_done < c->out_len && !c->dropped) {
		struct pollfd pfd = { .fd = c->out_fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&pfd, 1, 0) != 1)
			return false;
		n = write(c->out_fd, c->out + c->out_done,
			  c->out_len - c->out_done);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return false;
		if (n < 0)
			output_failed(c, errno);
		else
			c->out_done += n;
	}
	c->out_len = 0;
	c->out_done = 0;
	return true;
}

static void write_out(struct console *c)
{
	while (!write_some(c))
		wait_for_output(c);
}

/* Arms the timer at most once per period, no matter how much the guest sends. */
static void arm_timer(struct console *c)
{
	const struct itimerspec when = {
		.it_value.tv_nsec = FLUSH_AFTER_NS,
	};

	if (c->timer_armed)
		return;
	c->timer_armed = true;
	timerfd_settime(c->timer_fd, 0, &when, NULL);
}

static void port_send(void *ctx, uint8_t byte)
{
	struct console *c = ctx;

	mover_output(c->vm->mover, byte);
	c->out[c->out_len++] = byte;
	if (byte == '\n' || c->out_len == sizeof(c->out))
		write_out(c);
	else
		arm_timer(c);
	if (c->hints && rootless_byte(&c->rootless, byte))
		rootless_hint();
}

static void port_sent_all(void *ctx)
{
	write_out(ctx);
}

static void port_irq(void *ctx, bool level)
{
	struct console *c = ctx;

	vm_irq(c->vm, IRQ_COM1, level);
}

static size_t port_receive(void *ctx, uint8_t *buf, size_t max)
{
	struct console *c = ctx;
	size_t n;

	pthread_mutex_lock(&c->in_lock);
	for (n = 0; n < max && c->in_count; n++) {
		buf[n] = c->in[c->in_head];
		c->in_head = (c->in_head + 1) % sizeof(c->in);
		c->in_count--;
	}
	/* The loop waits for room. The write fails only if the loop is already awake. */
	if (n && !c->in_count)
		eventfd_write(c->kick_fd, 1);
	pthread_mutex_unlock(&c->in_lock);
	return n;
}

static const struct serial_ops port_ops = {
	.irq = port_irq,
	.send = port_send,
	.sent_all = port_sent_all,
	.receive = port_receive,
};

/*
 * A write to a terminal can block although poll() reports room, so the console
 * has a non-blocking file of its own. The flag must not be set on the file that
 * other programs share. Without /proc the shared file is used.
 */
static int open_output(void)
{
	int fd = -1;

	if (isatty(STDOUT_FILENO))
		fd = open("/proc/self/fd/1",
			  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

int console_init(struct console *c, struct vm *vm, int signal_fd, int job_fd)
{
	struct ioport_dev dev = serial_dev(&c->port, PORT_COM1);

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->signal_fd = signal_fd;
	c->job_fd = job_fd;
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC,
				     TFD_CLOEXEC | TFD_NONBLOCK);
	c->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->timer_fd < 0 || c->kick_fd < 0) {
		say("cannot create a timer for the console: %s", strerror(errno));
		return -1;
	}
	pthread_mutex_init(&c->in_lock, NULL);
	c->out_fd = open_output();
	serial_init(&c->port, &port_ops, c);
	ioport_add(vm->bus, &dev);
	return 0;
}

void console_flush(struct console *c)
{
	pthread_mutex_lock(&c->vm->bus->lock);
	write_out(c);
	pthread_mutex_unlock(&c->vm->bus->lock);
}

/*
 * Filters Ctrl-A out of the keys typed: Ctrl-A x ends the run, Ctrl-A s saves or
 * moves the guest, Ctrl-A Ctrl-A sends one Ctrl-A, any other pair is sent unchanged.
 */
static size_t filter_keys(struct console *c, const uint8_t *keys, size_t n,
			  uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t key = keys[i];

		if (!c->escape && key == ESCAPE_KEY) {
			c->escape = true;
			continue;
		}
		if (c->escape && (key == 'x' || key == 'X')) {
			vm_end(c->vm, RUN_STOPPED, 0, NULL,
			       "ended by Ctrl-A x");
			break;
		}
		if (c->escape && (key == 's' || key == 'S')) {
			c->escape = false;
			mover_ask(c->vm->mover);
			continue;
		}
		if (c->escape && key != ESCAPE_KEY)
			out[len++] = ESCAPE_KEY;
		c->escape = false;
		out[len++] = key;
	}
	return len;
}

/* Rings the bell, unless the terminal takes no output just now. */
static void ring_bell(const struct console *c)
{
	if (c->out_fd != STDOUT_FILENO && write(c->out_fd, "\a", 1) < 0)
		return;
}

/* Keeps input until the guest takes it. Drops what there is no room for. */
static void keep_input(struct console *c, const uint8_t *bytes, size_t n)
{
	size_t i;

	pthread_mutex_lock(&c->in_lock);
	for (i = 0; i < n && c->in_count < sizeof(c->in); i++)
		c->in[(c->in_head + c->in_count++) % sizeof(c->in)] = bytes[i];
	pthread_mutex_unlock(&c->in_lock);
	if (i < n)
		ring_bell(c);
}

size_t console_get_input(struct console *c, uint8_t *buf)
{
	size_t n;

	pthread_mutex_lock(&c->in_lock);
	for (n = 0; n < c->in_count; n++)
		buf[n] = c->in[(c->in_head + n) % sizeof(c->in)];
	pthread_mutex_unlock(&c->in_lock);
	return n;
}

void console_put_input(struct console *c, const uint8_t *bytes, size_t n)
{
	keep_input(c, bytes, n);
	c->deliver_due = true;
}

static void read_input(struct console *c)
{
	/* Filtering can add one byte: a Ctrl-A held back earlier. */
	uint8_t keys[4096], kept[sizeof(keys) + 1];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The guest keeps running without console input. */
		c->eof = true;
		return;
	}
	if (c->tty)
		keep_input(c, kept, filter_keys(c, keys, n, kept));
	else
		keep_input(c, keys, n);
	c->deliver_due = true;
}

/*
 * A terminal is always read, because the next key may be the escape. Other
 * input is read when the guest has taken all of the earlier input, so that
 * none is dropped.
 */
static bool input_wanted(struct console *c)
{
	bool empty;

	if (c->eof || c->tty)
		return !c->eof;
	pthread_mutex_lock(&c->in_lock);
	empty = !c->in_count;
	pthread_mutex_unlock(&c->in_lock);
	return empty;
}

/* Takes the bus lock unless another thread keeps it. */
static bool lock_bus(struct console *c)
{
	struct timespec limit;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_nsec += RETRY_MS * 1000000;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_sec++;
		limit.tv_nsec -= 1000000000;
	}
	return !pthread_mutex_clocklock(&c->vm->bus->lock, CLOCK_MONOTONIC,
					&limit);
}

/* Writes an unfinished line and offers input to the port, as far as possible now. */
static void do_due(struct console *c)
{
	if ((!c->flush_due && !c->deliver_due) || !lock_bus(c))
		return;
	if (c->flush_due && write_some(c)) {
		c->flush_due = false;
		c->timer_armed = false;
	}
	if (c->deliver_due)
		serial_poll(&c->port);
	c->deliver_due = false;
	pthread_mutex_unlock(&c->vm->bus->lock);
}

/*
 * Takes SIGTSTP's default action: stops the program, unless its process group is
 * orphaned. The signal is blocked in the other threads, so it comes to this one.
 */
static void stop_program(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Returns the terminal to the shell while the program is stopped. */
static void job_signal_came(struct console *c)
{
	struct signalfd_siginfo info;

	if (read(c->job_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		term_restore();
		stop_program();
	}
	c->tty = term_continued();
}

void console_loop(struct console *c, bool tty)
{
	enum { WAKE, SIGNAL, JOB, TIMER, KICK, INPUT, NR };
	struct pollfd pfd[NR] = {
		[WAKE]	 = { .fd = c->vm->wake_fd, .events = POLLIN },
		[SIGNAL] = { .fd = c->signal_fd, .events = POLLIN },
		[JOB]	 = { .fd = c->job_fd, .events = POLLIN },
		[TIMER]	 = { .fd = c->timer_fd, .events = POLLIN },
		[KICK]	 = { .fd = c->kick_fd, .events = POLLIN },
		[INPUT]	 = { .fd = STDIN_FILENO, .events = POLLIN },
	};
	eventfd_t unused;
	uint64_t times;

	c->tty = tty;
	while (!vm_ended(c->vm)) {
		pfd[INPUT].fd = input_wanted(c) ? STDIN_FILENO : -1;
		if (poll(pfd, NR, c->flush_due || c->deliver_due ? RETRY_MS : -1) < 0)
			continue;
		if (pfd[SIGNAL].revents)
			signal_came(c);
		if (pfd[JOB].revents)
			job_signal_came(c);
		if (pfd[TIMER].revents &&
		    read(c->timer_fd, &times, sizeof(times)) == sizeof(times))
			c->flush_due = true;
		if (pfd[KICK].revents)
			eventfd_read(c->kick_fd, &unused);
		if (pfd[INPUT].revents)
			read_input(c);
		do_due(c);
	}
}
