/* SPDX-License-Identifier: GPL-2.0 */
/* Advice about the machine that drostectl runs on. */
#ifndef DROSTECTL_HOST_H
#define DROSTECTL_HOST_H

#include <stddef.h>
#include <sys/stat.h>

/**
 * host_warn() - warn if a guest gets more than the host has
 * @cpus: virtual processors
 * @memory: guest memory in MiB
 */
void host_warn(unsigned long cpus, unsigned long memory);

/**
 * host_device_advice() - say what to do if a device could not be opened
 * @path: the device
 * @err: errno of open()
 * @text: filled in, with an empty string if there is no advice
 * @size: bytes in @text
 */
void host_device_advice(const char *path, int err, char *text, size_t size);

/**
 * host_access_advice() - say who may open a device
 * @st: owner and mode of the device
 * @groups: a file in the format of /etc/group
 * @text: filled in
 * @size: bytes in @text
 */
void host_access_advice(const struct stat *st, const char *groups, char *text,
			size_t size);

#endif
