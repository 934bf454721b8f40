/* SPDX-License-Identifier: GPL-2.0 */
/* Where a machine moves to: a Unix socket or a TCP port. */
#ifndef DROSTECTL_ENDPOINT_H
#define DROSTECTL_ENDPOINT_H

#include <stdbool.h>

/**
 * endpoint_check() - check the form of an address
 * @text: unix:PATH or HOST:PORT; a HOST with colons in brackets
 * @listens: HOST may be missing
 *
 * Return: 0, or -1 after an error message.
 */
int endpoint_check(const char *text, bool listens);

/**
 * endpoint_connect() - connect to where somebody listens
 * @text: the address
 * @wake_fd: a descriptor that becomes readable when nobody wants the connection any more
 * @ms: how long to wait
 *
 * Return: a descriptor that does not block, or -1, after an error message unless @wake_fd is readable.
 */
int endpoint_connect(const char *text, int wake_fd, long ms);

/** endpoint_accept() - listen for one connection, and wait for it; a descriptor, or -1 after an error message */
int endpoint_accept(const char *text);

#endif
