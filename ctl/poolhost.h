/* SPDX-License-Identifier: GPL-2.0 */
/* The processor that a device gives to guests. */
#ifndef DROSTECTL_POOLHOST_H
#define DROSTECTL_POOLHOST_H

#include "cpu/pool_logic.h"

/**
 * pool_host_read() - read what a device gives to guests
 * @p: filled in
 * @dev_fd: the device
 *
 * Return: 0, or -1 after an error message.
 */
int pool_host_read(struct droste_pool *p, int dev_fd);

/**
 * pool_host_whole() - read what Droste's device could give to guests without its pool
 * @p: filled in
 * @dev_fd: the device
 *
 * Return: 0, or -1 after an error message.
 */
int pool_host_whole(struct droste_pool *p, int dev_fd);

#endif
