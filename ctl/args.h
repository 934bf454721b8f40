/* SPDX-License-Identifier: GPL-2.0 */
/* Parses the values of options. */
#ifndef DROSTECTL_ARGS_H
#define DROSTECTL_ARGS_H

#include <stdint.h>

/**
 * args_number() - parse a decimal number
 * @option: name for the error message
 * @text: the value
 * @min: least number that is accepted
 * @max: greatest number that is accepted
 * @val: filled in
 *
 * Return: 0, or -1 after printing an error message.
 */
int args_number(const char *option, const char *text, unsigned long min,
		unsigned long max, unsigned long *val);

/**
 * args_size() - parse a size: MiB, or a number with the unit K, M, G or T
 * @option: name for the error message
 * @text: the value; "iB" may follow the unit
 * @min: least size that is accepted, in MiB
 * @max: greatest size that is accepted, in MiB
 * @mib: filled in
 *
 * Return: 0, or -1 after printing an error message.
 */
int args_size(const char *option, const char *text, unsigned long min,
	      unsigned long max, unsigned long *mib);

/**
 * args_address() - parse an address: hexadecimal with 0x, or decimal
 * @what: name for the error message
 * @text: the value
 * @val: filled in
 *
 * Return: 0, or -1 after printing an error message.
 */
int args_address(const char *what, const char *text, uint64_t *val);

/**
 * args_range() - parse the next one of some ranges of numbers: FIRST or FIRST-LAST, separated by commas
 * @option: name for the error message
 * @text: the ranges that are left; moves behind the one that is parsed, and becomes NULL behind the last one
 * @max: greatest number that is accepted
 * @first: filled in
 * @last: filled in
 *
 * Numbers are hexadecimal with 0x, or decimal.
 *
 * Return: 0, or -1 after printing an error message.
 */
int args_range(const char *option, const char **text, unsigned long max, unsigned long *first, unsigned long *last);

#endif
