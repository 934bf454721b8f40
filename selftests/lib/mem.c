// SPDX-License-Identifier: GPL-2.0
/* The memory functions that compilers call implicitly. libc's use vector registers, which guests may not have. */
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
	return ret;
}

void *memset(void *p, int v, size_t n)
{
	void *ret = p;

	asm volatile("rep stosb" : "+D" (p), "+c" (n) : "a" (v) : "memory");
	return ret;
}
