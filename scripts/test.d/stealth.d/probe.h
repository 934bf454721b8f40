/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the probe share. Each prints lines "NAME: VALUE", every name once. */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints a line. The name must be the same on every machine; what differs from run to run has the prefix "time.". */
void say(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Binds this thread to a processor. Returns false if there is none of this number. */
bool on_cpu(int cpu);

/* The first line of a file without its newline; NULL if it cannot be read. The next call overwrites it. */
const char *file_line(const char *path);

void probe_cpuid(void);
void probe_msr(void);
void probe_insn(void);
void probe_step(void);
void probe_system(void);
void probe_time(void);

#endif
