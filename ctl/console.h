/* SPDX-License-Identifier: GPL-2.0 */
/* Connects the serial port to standard input and output. */
#ifndef DROSTECTL_CONSOLE_H
#define DROSTECTL_CONSOLE_H

#include <stdbool.h>

#include "serial.h"
#include "vm.h"

/** struct console - buffers in both directions; guarded by the bus lock */
struct console {
	struct vm *vm;
	struct serial port;
	int signal_fd;		/* signalfd of the signals that end the run */
	int timer_fd;		/* timerfd: an unfinished line is due */
	int kick_fd;		/* eventfd: input can be read again */
	bool timer_armed;
	bool lost;		/* output is dropped: a write failed, or the run ended */
	uint8_t out[4096];	/* sent by the guest but not yet written */
	size_t out_len;
	uint8_t in[4096];	/* read but not yet received by the guest */
	size_t in_pos, in_len;

	/* Used only by console_loop(). */
	bool tty;		/* standard input is a terminal in raw mode */
	bool eof;		/* standard input has ended */
	bool escape;		/* Ctrl-A was the last key */
};

/**
 * console_init() - create a VM's console and put its port on the bus
 * @c: the console to initialize
 * @vm: the VM that owns the console
 * @signal_fd: signalfd of the signals that end the run
 *
 * Return: 0, or -1 after printing an error message.
 */
int console_init(struct console *c, struct vm *vm, int signal_fd);

/**
 * console_loop() - carry input and output until the run ends
 * @c: the console
 * @tty: whether standard input is a terminal, so that Ctrl-A x ends the run
 */
void console_loop(struct console *c, bool tty);

/** console_flush() - write what the guest has sent; takes the bus lock */
void console_flush(struct console *c);

#endif
