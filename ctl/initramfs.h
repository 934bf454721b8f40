/* SPDX-License-Identifier: GPL-2.0 */
/* A small initial RAM disk that gives a shell, made from the host's BusyBox. */
#ifndef DROSTECTL_INITRAMFS_H
#define DROSTECTL_INITRAMFS_H

#include <stddef.h>
#include <stdint.h>

/** struct initramfs - a cpio archive in memory */
struct initramfs {
	uint8_t *data;
	size_t len;		/* bytes of the archive */
	size_t room;		/* bytes allocated */
};

/**
 * initramfs_build() - make the archive
 * @fs: filled in; zeroed by the caller
 *
 * Takes BusyBox from the path in the environment variable DROSTECTL_BUSYBOX,
 * or else from the places where distributions install it. It must be a static
 * executable for x86-64.
 *
 * Return: 0, or -1 after printing an error message.
 */
int initramfs_build(struct initramfs *fs);

/** initramfs_free() - free the archive */
void initramfs_free(struct initramfs *fs);

#endif
