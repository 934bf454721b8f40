// SPDX-License-Identifier: GPL-2.0
/* Parses the values of options. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "say.h"

/* Parses the digits at the start. Returns the rest, or NULL if there are none. */
static const char *digits(const char *text, unsigned long *val)
{
	char *end;

	errno = 0;
	*val = strtoul(text, &end, 10);
	return errno || !isdigit((unsigned char)*text) ? NULL : end;
}

int args_number(const char *option, const char *text, unsigned long min,
		unsigned long max, unsigned long *val)
{
	const char *rest = digits(text, val);

	if (!rest || *rest || *val < min || *val > max) {
		say("--%s expects a number from %lu to %lu, not \"%s\"", option,
		    min, max, text);
		return -1;
	}
	return 0;
}

/* Converts a number with a unit to MiB. Returns false if it is not a size. */
static bool to_mib(unsigned long val, const char *unit, unsigned long *mib)
{
	static const struct {
		char letter;
		unsigned long times, per;	/* MiB = val * times / per */
	} units[] = {
		{ 'k', 1, 1024 }, { 'm', 1, 1 }, { 'g', 1024, 1 }, { 't', 1024 * 1024, 1 },
	};

	if (!*unit) {
		*mib = val;
		return true;
	}
	if (unit[1] && strcasecmp(unit + 1, "ib"))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (tolower((unsigned char)*unit) != units[i].letter)
			continue;
		*mib = val * units[i].times / units[i].per;
		return !__builtin_mul_overflow(val, units[i].times, &val) &&
		       val % units[i].per == 0;
	}
	return false;
}

int args_size(const char *option, const char *text, unsigned long min,
	      unsigned long max, unsigned long *mib)
{
	unsigned long val;
	const char *unit = digits(text, &val);

	if (!unit || !to_mib(val, unit, mib) || *mib < min || *mib > max) {
		say("--%s expects a size from %lu to %lu MiB, such as 512, 512M or 2G, not \"%s\"",
		    option, min, max, text);
		return -1;
	}
	return 0;
}

int args_address(const char *what, const char *text, uint64_t *val)
{
	char *end;

	errno = 0;
	*val = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
	if (errno || *end || *text < '0' || *text > '9' || !strcmp(text, "0x")) {
		say("%s: \"%s\" is no address: give a number, such as 0x1000", what, text);
		return -1;
	}
	return 0;
}

/* A number at *text, behind which *text moves. Returns false if there is none. */
static bool range_number(const char **text, unsigned long *val)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	*val = strtoul(*text, &end, !strncmp(*text, "0x", 2) ? 16 : 10);
	*text = end;
	return !errno;
}

int args_range(const char *option, const char **text, unsigned long max, unsigned long *first, unsigned long *last)
{
	const char *at = *text;
	bool good = range_number(&at, first);

	*last = *first;
	if (good && *at == '-') {
		at++;
		good = range_number(&at, last);
	}
	if (!good || (*at && *at != ',') || *first > *last || *last > max) {
		say("--%s needs numbers up to %#lx, or ranges such as 0x84-0x86, not \"%s\"", option, max, *text);
		return -1;
	}
	*text = *at ? at + 1 : NULL;
	return 0;
}
