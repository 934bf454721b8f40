/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BCD_H
#define UNIT_LINUX_BCD_H

#define bcd2bin(x)	(((x) >> 4) * 10 + ((x) & 15))
#define bin2bcd(x)	(((x) / 10 << 4) + (x) % 10)

#endif
