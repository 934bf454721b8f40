/* SPDX-License-Identifier: GPL-2.0 */
/* Connects the serial port to standard input and output. */
#ifndef DROSTECTL_CONSOLE_H
#define DROSTECTL_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>

#include "rootless.h"
#include "serial.h"
#include "vm.h"

/* Printf format of the message that output was lost; takes the error's text. */
#define CONSOLE_LOST	"writing the guest's console to standard output failed: %s"

/** struct console - buffers in both directions */
struct console {
	struct vm *vm;
	int signal_fd;		/* signalfd of the signals that end the run */
	int job_fd;		/* signalfd of SIGTSTP and SIGCONT */
	int timer_fd;		/* timerfd: an unfinished line is due */
	int kick_fd;		/* eventfd: the guest has taken all input */
	int out_fd;		/* standard output, or its terminal opened non-blocking */

	/* Guarded by the bus lock. */
	struct serial port;
	bool timer_armed;
	bool dropped;		/* output is dropped: a write failed, or the run was ended */
	int error;		/* errno of the write that failed, or 0 */
	bool hints;		/* say what to do if the guest has no root file system */
	struct rootless rootless;
	uint8_t out[4096];	/* sent by the guest but not yet written */
	size_t out_len;		/* bytes in it */
	size_t out_done;	/* bytes of them that were written */

	pthread_mutex_t in_lock;	/* guards the members below; taken inside the bus lock */
	uint8_t in[65536];	/* read but not yet received by the guest, a ring */
	size_t in_head;		/* oldest byte */
	size_t in_count;	/* bytes in it */

	/* Used only by console_loop(). */
	bool tty;		/* standard input is a terminal in raw mode */
	bool eof;		/* standard input has ended */
	bool escape;		/* Ctrl-A was the last key */
	bool flush_due;		/* an unfinished line waits to be written */
	bool deliver_due;	/* the port has not been told of new input */
};

/**
 * console_init() - create a VM's console and put its port on the bus
 * @c: the console to initialize
 * @vm: the VM that owns the console
 * @signal_fd: signalfd of the signals that end the run
 * @job_fd: signalfd of SIGTSTP and SIGCONT
 *
 * Return: 0, or -1 after printing an error message.
 */
int console_init(struct console *c, struct vm *vm, int signal_fd, int job_fd);

/**
 * console_loop() - carry input and output until the run ends
 * @c: the console
 * @tty: whether standard input is a terminal, so that Ctrl-A x ends the run
 */
void console_loop(struct console *c, bool tty);

/**
 * console_get_input() - copy the input that the port has not taken yet
 * @c: the console
 * @buf: sizeof(c->in) bytes
 *
 * Return: how many bytes.
 */
size_t console_get_input(struct console *c, uint8_t *buf);

/** console_put_input() - add input, as if it had been read; at most sizeof(c->in) bytes */
void console_put_input(struct console *c, const uint8_t *bytes, size_t n);

/** console_flush() - write what the guest has sent; takes the bus lock */
void console_flush(struct console *c);

#endif
