/* SPDX-License-Identifier: GPL-2.0 */
/* Connects the serial port to standard input and output. */
#ifndef DROSTECTL_CONSOLE_H
#define DROSTECTL_CONSOLE_H

#include <stdbool.h>

#include "serial.h"
#include "vm.h"

/** struct console - buffers on both ways; guarded by the bus lock */
struct console {
	struct vm *vm;
	struct serial port;
	int signal_fd;		/* signalfd of the signals that end the run */
	int timer_fd;		/* timerfd: output has waited long enough */
	int kick_fd;		/* eventfd: input can be read again */
	bool timer_armed;
	bool lost;		/* output is dropped: it failed, or nobody waits */
	uint8_t out[4096];	/* sent by the guest, not yet written */
	size_t out_len;
	uint8_t in[4096];	/* read, not yet received by the guest */
	size_t in_pos, in_len;

	/* Used by the console's own loop only. */
	bool tty;		/* standard input is a terminal in raw mode */
	bool eof;		/* standard input has ended */
	bool escape;		/* Ctrl-A was the last key */
};

/**
 * console_init() - make the console and put its port on the VM's bus
 * @c: filled in
 * @vm: whose console it is
 * @signal_fd: signalfd of the signals that end the run
 *
 * Return: 0, or -1 after saying what is wrong.
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
