// SPDX-License-Identifier: GPL-2.0
/* drostectl run --pin: a CPU of the host for each vCPU. */
#include "pin.h"

#include <sched.h>

#include "args.h"
#include "say.h"

int pin_check(const char *list, unsigned int nr_vcpus)
{
	unsigned long first, last;
	cpu_set_t may, used;
	unsigned int nr = 0;

	CPU_ZERO(&used);
	if (sched_getaffinity(0, sizeof(may), &may))
		CPU_ZERO(&may);
	while (list) {
		if (args_range("pin", &list, CPU_SETSIZE - 1, &first, &last))
			return -1;
		for (; first <= last; first++, nr++) {
			if (!CPU_ISSET(first, &may) || CPU_ISSET(first, &used)) {
				say(CPU_ISSET(first, &used) ? "--pin names CPU %lu twice" : "--pin: there is no CPU %lu for this process", first);
				return -1;
			}
			CPU_SET(first, &used);
		}
	}
	if (nr == nr_vcpus)
		return 0;
	say("--pin names %u CPUs for %u virtual processors", nr, nr_vcpus);
	return -1;
}

int pin_thread(const char *list, unsigned int id, pthread_t thread)
{
	unsigned long first, last;
	cpu_set_t one;

	do {
		if (args_range("pin", &list, CPU_SETSIZE - 1, &first, &last))
			return -1;
		if (id <= last - first)
			break;
		id -= last - first + 1;
	} while (list);
	CPU_ZERO(&one);
	CPU_SET(first + id, &one);
	return pthread_setaffinity_np(thread, sizeof(one), &one);
}
