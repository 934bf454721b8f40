// SPDX-License-Identifier: GPL-2.0
/* Computes CRC-32C, eight bytes at a time, by the processor's instruction for it, or with tables that are made at the first use. */
#include <cpuid.h>
#include <nmmintrin.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "crc32c.h"

#define POLYNOMIAL	0x82f63b78u	/* reflected */

static uint32_t table[8][256];	/* of a byte that has 0 to 7 bytes behind it */
static pthread_once_t made = PTHREAD_ONCE_INIT;

static bool has_instruction;

static void make_table(void)
{
	unsigned int a, b, c = 0, d;

	has_instruction = __get_cpuid(1, &a, &b, &c, &d) && c & bit_SSE4_2;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? POLYNOMIAL : 0);
		table[0][i] = c;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 0xff];
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	pthread_once(&made, make_table);
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint32_t low, high;

		memcpy(&low, p, 4);
		memcpy(&high, p + 4, 4);
		low ^= crc;
		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
		      table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
	}
	while (len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = (uint32_t)~crc, bytes;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&bytes, p, 8);
		c = _mm_crc32_u64(c, bytes);
	}
	while (len--)
		c = _mm_crc32_u8(c, *p++);
	return ~(uint32_t)c;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&made, make_table);
	return has_instruction ? by_instruction(crc, data, len) : crc32c_table(crc, data, len);
}
