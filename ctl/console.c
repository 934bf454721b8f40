// SPDX-License-Identifier: GPL-2.0
/*
 * Carries bytes between the serial port and standard input and output.
 *
 * The vCPU thread that sends output also writes it, one line at a time; an
 * unfinished line is written when a timer expires. The console's loop reads
 * input only after the port has taken all earlier input.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "console.h"
#include "layout.h"
#include "say.h"

#define ESCAPE_KEY	0x01	/* Ctrl-A */
#define FLUSH_AFTER_NS	20000000

static void signal_came(struct console *c)
{
	struct signalfd_siginfo info;

	if (read(c->signal_fd, &info, sizeof(info)) == sizeof(info))
		vm_end(c->vm, RUN_STOPPED, 0, NULL, "ended by signal %u (%s)",
		       info.ssi_signo, strsignal(info.ssi_signo));
}

/*
 * Waits until standard output accepts bytes. Its reader may have stopped for
 * good, so a signal ends the wait and the run, and drops the output. The signal
 * is read here because the caller holds the bus lock, which can keep the
 * console's loop from reading it.
 */
static void wait_for_output(struct console *c)
{
	struct pollfd pfd[] = {
		{ .fd = STDOUT_FILENO, .events = POLLOUT },
		{ .fd = c->signal_fd, .events = POLLIN },
	};

	if (poll(pfd, 2, -1) > 0 && !pfd[0].revents) {
		signal_came(c);
		c->lost = true;
	}
}

/* The buffer is no larger than PIPE_BUF, so a pipe takes it in one write. */
static void write_out(struct console *c)
{
	size_t done = 0;

	while (done < c->out_len && !c->lost) {
		ssize_t n;

		wait_for_output(c);
		if (c->lost)
			break;
		n = write(STDOUT_FILENO, c->out + done, c->out_len - done);
		if (n >= 0) {
			done += n;
		} else if (errno != EINTR && errno != EAGAIN) {
			say("writing to standard output failed, console output is lost: %s",
			    strerror(errno));
			c->lost = true;
		}
	}
	c->out_len = 0;
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

	c->out[c->out_len++] = byte;
	if (byte == '\n' || c->out_len == sizeof(c->out))
		write_out(c);
	else
		arm_timer(c);
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
	size_t n = c->in_len - c->in_pos;

	if (!n)
		return 0;
	if (n > max)
		n = max;
	memcpy(buf, c->in + c->in_pos, n);
	c->in_pos += n;
	/* The loop waits for room. The write fails only if the loop is already awake. */
	if (c->in_pos == c->in_len)
		eventfd_write(c->kick_fd, 1);
	return n;
}

static const struct serial_ops port_ops = {
	.irq = port_irq,
	.send = port_send,
	.sent_all = port_sent_all,
	.receive = port_receive,
};

int console_init(struct console *c, struct vm *vm, int signal_fd)
{
	struct ioport_dev dev = serial_dev(&c->port, PORT_COM1);

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->signal_fd = signal_fd;
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC,
				     TFD_CLOEXEC | TFD_NONBLOCK);
	c->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->timer_fd < 0 || c->kick_fd < 0) {
		say("cannot create a timer for the console: %s", strerror(errno));
		return -1;
	}
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
 * Filters Ctrl-A out of the keys typed: Ctrl-A x ends the run, Ctrl-A Ctrl-A
 * sends one Ctrl-A, any other pair is sent unchanged.
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
		if (c->escape && (key == 'x' || key == 'X'))
			vm_end(c->vm, RUN_STOPPED, 0, NULL,
			       "ended by Ctrl-A x");
		else if (c->escape && key != ESCAPE_KEY)
			out[len++] = ESCAPE_KEY;
		c->escape = false;
		out[len++] = key;
	}
	return len;
}

static void read_input(struct console *c)
{
	/* Filtering can add one byte: a Ctrl-A held back earlier. */
	uint8_t keys[sizeof(c->in) - 1];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* The guest keeps running without console input. */
		c->eof = true;
		return;
	}
	pthread_mutex_lock(&c->vm->bus->lock);
	c->in_pos = 0;
	if (c->tty) {
		c->in_len = filter_keys(c, keys, n, c->in);
	} else {
		memcpy(c->in, keys, n);
		c->in_len = n;
	}
	serial_poll(&c->port);
	pthread_mutex_unlock(&c->vm->bus->lock);
}

static bool input_wanted(struct console *c)
{
	bool empty;

	pthread_mutex_lock(&c->vm->bus->lock);
	empty = c->in_pos == c->in_len;
	pthread_mutex_unlock(&c->vm->bus->lock);
	return empty && !c->eof;
}

static void timer_expired(struct console *c)
{
	uint64_t times;

	pthread_mutex_lock(&c->vm->bus->lock);
	if (read(c->timer_fd, &times, sizeof(times)) == sizeof(times)) {
		c->timer_armed = false;
		write_out(c);
	}
	pthread_mutex_unlock(&c->vm->bus->lock);
}

void console_loop(struct console *c, bool tty)
{
	enum { WAKE, SIGNAL, TIMER, KICK, INPUT, NR };
	struct pollfd pfd[NR] = {
		[WAKE]	 = { .fd = c->vm->wake_fd, .events = POLLIN },
		[SIGNAL] = { .fd = c->signal_fd, .events = POLLIN },
		[TIMER]	 = { .fd = c->timer_fd, .events = POLLIN },
		[KICK]	 = { .fd = c->kick_fd, .events = POLLIN },
		[INPUT]	 = { .fd = STDIN_FILENO, .events = POLLIN },
	};
	eventfd_t unused;

	c->tty = tty;
	while (!vm_ended(c->vm)) {
		pfd[INPUT].fd = input_wanted(c) ? STDIN_FILENO : -1;
		if (poll(pfd, NR, -1) < 0)
			continue;
		if (pfd[SIGNAL].revents)
			signal_came(c);
		if (pfd[TIMER].revents)
			timer_expired(c);
		if (pfd[KICK].revents)
			eventfd_read(c->kick_fd, &unused);
		if (pfd[INPUT].revents)
			read_input(c);
	}
}
