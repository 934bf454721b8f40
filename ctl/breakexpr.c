// SPDX-License-Identifier: GPL-2.0
/* Parses the expressions of drostectl break: comparisons of a field with a value, with && between them. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../uapi/linux/droste.h"
#include "break.h"
#include "exitname.h"
#include "nested/route_why.h"
#include "say.h"

enum field { LEVEL, REASON, TO, WHY, RIP, SEQ, NTH, NR_FIELDS };

static const struct {
	const char *name;
	uint64_t first, last;	/* the values that it may have */
} fields[NR_FIELDS] = {
	[LEVEL] = { "level", 1, 2 },
	[REASON] = { "reason", 0, DROSTE_NR_EXIT_REASONS - 1 },
	[TO] = { "to", 0, 1 },
	[WHY] = { "why", 0, NR_ROUTE_WHY - 1 },
	[RIP] = { "rip", 0, UINT64_MAX },
	[SEQ] = { "seq", 1, UINT64_MAX },
	[NTH] = { "nth", 1, UINT64_MAX },
};

/* The values that an expression leaves for each field. */
struct range {
	uint64_t first, last;
};

#define WORD_MAX	40

/* Take a word of letters, digits and underscores. Returns its length; 0 if there is none, or it is too long. */
static size_t take_word(const char **at, char *word)
{
	size_t n = 0;

	*at += strspn(*at, " \t");
	while (isalnum((unsigned char)(*at)[n]) || (*at)[n] == '_')
		n++;
	if (n >= WORD_MAX)
		n = 0;
	memcpy(word, *at, n);
	word[n] = 0;
	*at += n;
	return n;
}

static bool take(const char **at, const char *what)
{
	*at += strspn(*at, " \t");
	if (strncmp(*at, what, strlen(what)))
		return false;
	*at += strlen(what);
	return true;
}

static int reason_of(const char *name)
{
	if (!strncasecmp(name, "EXIT_REASON_", 12))
		name += 12;
	for (int i = 0; i < DROSTE_NR_EXIT_REASONS; i++)
		if (!strcasecmp(name, exit_name(i)))
			return i;
	return -1;
}

static int why_of(const char *name)
{
#define NAME(nr, name, words) [nr] = #name,
	static const char *const names[] = { ROUTE_WHYS(NAME, NAME) };
#undef NAME

	for (int i = 0; i < NR_ROUTE_WHY; i++)
		if (!strcasecmp(name, names[i]))
			return i;
	return -1;
}

/* A number, or for some fields a name. */
static int parse_value(enum field f, const char *word, uint64_t *val)
{
	int named;
	char *end;

	if (isdigit((unsigned char)*word)) {
		errno = 0;
		*val = strtoull(word, &end, strncasecmp(word, "0x", 2) ? 10 : 16);
		if (!*end && !errno)
			return 0;
		say("\"%s\" is not a number", word);
		return -1;
	}
	named = f == REASON ? reason_of(word) : f == WHY ? why_of(word) : -1;
	if (named < 0) {
		say("\"%s\" is no value of \"%s\"", word, fields[f].name);
		return -1;
	}
	*val = named;
	return 0;
}

/* Leave only the values that a comparison allows. Returns false if none is left. */
static bool narrow(struct range *r, const char *op, uint64_t val)
{
	struct range with = { 0, UINT64_MAX };

	if (*op == '=' || *op == '>')
		with.first = val;
	if (*op == '=' || *op == '<')
		with.last = val;
	if (!strcmp(op, ">") && with.first++ == UINT64_MAX)
		return false;
	if (!strcmp(op, "<") && with.last-- == 0)
		return false;
	if (with.first > r->first)
		r->first = with.first;
	if (with.last < r->last)
		r->last = with.last;
	return r->first <= r->last;
}

/* Parse one comparison. */
static int parse_one(const char **at, struct range *ranges, bool *given)
{
	/* An operator comes before those that it begins with. */
	static const char *const ops[] = { "==", "<=", ">=", "<", ">" };
	const size_t nr_ops = sizeof(ops) / sizeof(ops[0]);
	const char *rest = *at;
	char name[WORD_MAX], word[WORD_MAX];
	uint64_t val;
	size_t f = 0, op = 0;

	take_word(at, name);
	while (f < NR_FIELDS && strcmp(name, fields[f].name))
		f++;
	if (f == NR_FIELDS) {
		say("a field was expected at \"%s\": level, reason, to, why, rip, seq or nth", rest);
		return -1;
	}
	rest = *at;
	while (op < nr_ops && !take(at, ops[op]))
		op++;
	if (op == nr_ops || (op && f != RIP && f != SEQ)) {
		say("\"==\"%s was expected behind \"%s\", not \"%s\"", f == RIP || f == SEQ ? ", \"<\", \"<=\", \">\" or \">=\"" : "",
		    name, rest);
		return -1;
	}
	rest = *at;
	if (!take_word(at, word)) {
		say("a value of \"%s\" was expected at \"%s\"", name, rest);
		return -1;
	}
	if (parse_value(f, word, &val))
		return -1;
	given[f] = true;
	if (narrow(&ranges[f], ops[op], val))
		return 0;
	say("no exit has such a value of \"%s\": %s", name, word);
	return -1;
}

/* The flag of a field that is given. */
static uint32_t flag(const bool *given, enum field f, uint32_t bit)
{
	return given[f] ? bit : 0;
}

static void fill(struct droste_match *m, const struct range *r, const bool *given)
{
	*m = (struct droste_match) {
		.flags = flag(given, LEVEL, DROSTE_MATCH_LEVEL) | flag(given, REASON, DROSTE_MATCH_REASON) |
			 flag(given, TO, DROSTE_MATCH_TO) | flag(given, WHY, DROSTE_MATCH_WHY) |
			 flag(given, RIP, DROSTE_MATCH_RIP) | flag(given, SEQ, DROSTE_MATCH_SEQ),
		.level = given[LEVEL] ? r[LEVEL].first : 0,
		.reason = given[REASON] ? r[REASON].first : 0,
		.to = given[TO] ? r[TO].first : 0,
		.why = given[WHY] ? r[WHY].first : 0,
		.nth = given[NTH] ? r[NTH].first : 0,
	};
	if (given[RIP]) {
		m->rip_first = r[RIP].first;
		m->rip_last = r[RIP].last;
	}
	if (given[SEQ]) {
		m->seq_first = r[SEQ].first;
		m->seq_last = r[SEQ].last;
	}
}

int break_parse(const char *text, struct droste_match *m)
{
	struct range ranges[NR_FIELDS];
	bool given[NR_FIELDS] = { false };
	const char *at = text;

	for (int f = 0; f < NR_FIELDS; f++)
		ranges[f] = (struct range) { fields[f].first, fields[f].last };
	do {
		if (parse_one(&at, ranges, given))
			return -1;
	} while (take(&at, "&&"));
	at += strspn(at, " \t");
	if (*at) {
		say("\"&&\" was expected at \"%s\"", at);
		return -1;
	}
	fill(m, ranges, given);
	return 0;
}
