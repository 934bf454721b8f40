/* SPDX-License-Identifier: GPL-2.0 */
/* The checksum of a migration stream's records. */
#ifndef DROSTECTL_CRC32C_H
#define DROSTECTL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * crc32c() - continue a CRC-32C (RFC 3720, B.4)
 * @crc: 0 at the start, or the result for the bytes before
 * @data: more bytes
 * @len: their number
 *
 * Return: the checksum of all bytes so far.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/** crc32c_table() - the same, as computed where the processor has no instruction for it */
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

#endif
