/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl run --pin: a CPU of the host for each vCPU. */
#ifndef DROSTECTL_PIN_H
#define DROSTECTL_PIN_H

#include <pthread.h>

/**
 * pin_check() - check the host's CPUs for the vCPUs
 * @list: the CPUs, as args_range() takes them, the first for vCPU 0
 * @nr_vcpus: number of vCPUs; there must be as many CPUs, each once, on which this process may run
 *
 * Return: 0, or -1 after an error message.
 */
int pin_check(const char *list, unsigned int nr_vcpus);

/**
 * pin_thread() - let a vCPU's thread run on its CPU only
 * @list: checked by pin_check()
 * @id: the vCPU's index
 * @thread: its thread
 *
 * Return: 0 or an error number.
 */
int pin_thread(const char *list, unsigned int id, pthread_t thread);

#endif
