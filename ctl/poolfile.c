// SPDX-License-Identifier: GPL-2.0
/* Reads and writes files that describe a processor. Each row stands for itself, so that two files can be compared by eye. */
#include "poolfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpubits.h"
#include "poolsay.h"
#include "say.h"

#define FIRST_LINE	"droste-pool 1"
#define SIZE_MAX_READ	(1UL << 20)	/* longer files are refused */
#define SPACES		" \t"

int pool_wrong(const struct pool_place *at, const char *why)
{
	say("%s:%d: %s", at->f->name, at->line, why);
	return -1;
}

int pool_wrong_word(const struct pool_place *at, const char *why, const char *word)
{
	say("%s:%d: %s: \"%.40s\"", at->f->name, at->line, why, word);
	return -1;
}

char *pool_next_word(struct pool_place *at)
{
	char *word;

	do {
		word = strsep(&at->rest, SPACES);
	} while (word && !*word);
	return word;
}

/* A number: hexadecimal with 0x, or decimal; nothing else before or behind it. */
static bool number(const char *text, uint64_t max, uint64_t *val)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*val = strtoull(text, &end, !strncmp(text, "0x", 2) ? 16 : 10);
	return !errno && !*end && end[-1] != 'x' && *val <= max;
}

int pool_number_word(struct pool_place *at, const char *what, uint64_t max, uint64_t *val)
{
	char *word = pool_next_word(at);

	if (!word) {
		say("%s:%d: the row ends where %s is expected", at->f->name, at->line, what);
		return -1;
	}
	return number(word, max, val) ? 0 : pool_wrong_word(at, "not a number in its range", word);
}

int pool_line_ends(struct pool_place *at)
{
	char *word = pool_next_word(at);

	return word ? pool_wrong_word(at, "the row has more than it needs", word) : 0;
}

/* --- the rows --- */

static int row_cpuid(struct pool_place *at)
{
	struct droste_pool_cpuid e = { 0 };
	struct droste_pool *p = &at->f->p;
	char *word = pool_next_word(at), *sub = word ? strchr(word, '.') : NULL;
	uint64_t leaf, subleaf = 0, reg;
	uint32_t i;
	int indexed;

	if (!word)
		return pool_wrong(at, "the row ends where a leaf is expected");
	if (sub)
		*sub++ = 0;
	if (!number(word, UINT32_MAX, &leaf) || (sub && !number(sub, UINT32_MAX, &subleaf)))
		return pool_wrong_word(at, "not a leaf", word);
	e.leaf = leaf;
	e.subleaf = subleaf;
	e.flags = sub ? DROSTE_POOL_INDEXED : 0;
	indexed = pool_leaf_indexed(leaf);
	if (indexed >= 0 && indexed != !!sub)
		return pool_wrong_word(at, indexed ? "this leaf has sub-leaves: write LEAF.SUB" : "this leaf has no sub-leaves", word);
	for (i = 0; i < NR_POOL_REGS; i++) {
		if (pool_number_word(at, cpubit_reg(i), UINT32_MAX, &reg))
			return -1;
		e.regs[i] = reg;
	}
	for (i = p->nr_cpuid; i && (p->cpuid[i - 1].leaf > leaf ||
				    (p->cpuid[i - 1].leaf == leaf && p->cpuid[i - 1].subleaf > subleaf)); i--)
		;
	if (i && p->cpuid[i - 1].leaf == leaf && (p->cpuid[i - 1].subleaf == subleaf || p->cpuid[i - 1].flags != e.flags)) {
		say("%s:%d: line %d has this leaf already", at->f->name, at->line, at->f->cpuid_line[i - 1]);
		return -1;
	}
	if (p->nr_cpuid == DROSTE_POOL_CPUID)
		return pool_wrong(at, "too many leaves");
	memmove(&p->cpuid[i + 1], &p->cpuid[i], (p->nr_cpuid - i) * sizeof(e));
	memmove(&at->f->cpuid_line[i + 1], &at->f->cpuid_line[i], (p->nr_cpuid - i) * sizeof(int));
	p->cpuid[i] = e;
	at->f->cpuid_line[i] = at->line;
	p->nr_cpuid++;
	return pool_line_ends(at);
}

static int row_msr(struct pool_place *at)
{
	struct droste_pool *p = &at->f->p;
	uint64_t index, value;
	uint32_t i;

	if (pool_number_word(at, "an MSR", UINT32_MAX, &index) || pool_number_word(at, "a value", UINT64_MAX, &value))
		return -1;
	for (i = p->nr_msrs; i && p->msrs[i - 1].index > index; i--)
		;
	if (i && p->msrs[i - 1].index == index) {
		say("%s:%d: line %d has this MSR already", at->f->name, at->line, at->f->msr_line[i - 1]);
		return -1;
	}
	if (p->nr_msrs == DROSTE_POOL_MSRS)
		return pool_wrong(at, "too many MSRs");
	memmove(&p->msrs[i + 1], &p->msrs[i], (p->nr_msrs - i) * sizeof(p->msrs[0]));
	memmove(&at->f->msr_line[i + 1], &at->f->msr_line[i], (p->nr_msrs - i) * sizeof(int));
	p->msrs[i] = (struct droste_pool_msr) { .index = index, .value = value };
	at->f->msr_line[i] = at->line;
	p->nr_msrs++;
	return pool_line_ends(at);
}

/* FIRST or FIRST-LAST, in ascending order. */
static int row_msrs(struct pool_place *at)
{
	struct droste_pool *p = &at->f->p;
	char *word;

	if (at->f->list_line)
		return pool_wrong(at, "there is a row of MSRs already");
	at->f->list_line = at->line;
	while ((word = pool_next_word(at))) {
		char *to = strchr(word, '-');
		uint64_t first, last;

		if (to)
			*to++ = 0;
		if (!number(word, UINT32_MAX, &first) || !number(to ? to : word, UINT32_MAX, &last) || last < first)
			return pool_wrong_word(at, "not an MSR, or a range of MSRs", word);
		if (p->nr_list && first <= p->list[p->nr_list - 1])
			return pool_wrong_word(at, "the MSRs are not in ascending order", word);
		for (; first <= last; first++) {
			if (p->nr_list == DROSTE_POOL_LIST)
				return pool_wrong(at, "too many MSRs");
			p->list[p->nr_list++] = first;
		}
	}
	return 0;
}

/* KHZ or LOWEST-HIGHEST, then perhaps "scaling". */
static int row_tsc(struct pool_place *at)
{
	struct droste_pool *p = &at->f->p;
	char *word = pool_next_word(at), *to = word ? strchr(word, '-') : NULL;
	uint64_t low, high;

	if (at->f->tsc_line)
		return pool_wrong(at, "there is a TSC frequency already");
	at->f->tsc_line = at->line;
	if (!word)
		return pool_wrong(at, "the row ends where a TSC frequency is expected");
	if (to)
		*to++ = 0;
	if (!number(word, UINT32_MAX, &low) || !number(to ? to : word, UINT32_MAX, &high) || high < low)
		return pool_wrong_word(at, "not a TSC frequency in kHz, or a range", word);
	p->tsc_khz = low;
	p->tsc_khz_max = high;
	word = pool_next_word(at);
	if (!word)
		return 0;
	if (strcmp(word, "scaling"))
		return pool_wrong_word(at, "only \"scaling\" may follow the TSC frequency", word);
	p->flags = DROSTE_POOL_TSC_SCALING;
	return pool_line_ends(at);
}

static const struct pool_row rows[] = {
	{ "cpuid", row_cpuid },
	{ "msr", row_msr },
	{ "msrs", row_msrs },
	{ "tsc-khz", row_tsc },
};

static int parse_row(struct pool_place *at, const struct pool_row *more, size_t nr_more)
{
	char *key = pool_next_word(at);

	if (!key || *key == '#')
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].key, key))
			return rows[i].parse(at);
	for (size_t i = 0; i < nr_more; i++)
		if (!strcmp(more[i].key, key))
			return more[i].parse(at);
	return pool_wrong_word(at, "unknown row", key);
}

static bool printable(const char *text)
{
	for (; *text; text++)
		if ((*text < ' ' && *text != '\t') || *text > '~')
			return false;
	return true;
}

int pool_file_parse(struct pool_file *f, const char *name, char *data, size_t size)
{
	return pool_file_parse_more(f, name, data, size, FIRST_LINE, NULL, 0);
}

int pool_file_parse_more(struct pool_file *f, const char *name, char *data, size_t size, const char *first_line,
			 const struct pool_row *more, size_t nr_more)
{
	struct pool_place at = { .f = f };
	bool comment;
	char *line;

	memset(f, 0, sizeof(*f));
	f->name = name;
	if (memchr(data, 0, size)) {
		say("%s: not a text file", name);
		return -1;
	}
	while ((line = strsep(&data, "\n"))) {
		at.line++;
		at.rest = line;
		comment = line[strspn(line, SPACES)] == '#';
		if (!printable(line) && !comment)
			return pool_wrong(&at, "a character that is not ASCII, or a control character");
		if (at.line == 1 && strcmp(line, first_line)) {
			say("%s:1: the first line is not \"%s\": \"%.40s\"", name, first_line, line);
			return -1;
		}
		if (at.line > 1 && parse_row(&at, more, nr_more))
			return -1;
	}
	if (pool_check(&f->p)) {
		say("%s: CPUID's leaves 0 and 1 are missing", name);
		return -1;
	}
	return 0;
}

char *pool_file_whole(const char *name, size_t *size)
{
	int fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	char *data = malloc(SIZE_MAX_READ + 2);
	ssize_t n = 0;

	*size = 0;
	while (fd >= 0 && data && *size <= SIZE_MAX_READ) {
		n = read(fd, data + *size, SIZE_MAX_READ + 1 - *size);
		if (n <= 0)
			break;
		*size += n;
	}
	if (fd < 0 || !data || n < 0) {
		say("cannot read %s: %s", name, strerror(errno));
	} else if (*size > SIZE_MAX_READ) {
		say("%s is longer than 1 MiB", name);
	} else {
		data[*size] = 0;
		if (fd > STDIN_FILENO)
			close(fd);
		return data;
	}
	if (fd > STDIN_FILENO)
		close(fd);
	free(data);
	return NULL;
}

int pool_file_read(struct pool_file *f, const char *name)
{
	size_t size;
	char *data = pool_file_whole(name, &size);
	int ret = data ? pool_file_parse(f, name, data, size) : -1;

	free(data);
	return ret;
}

/* --- contradictions --- */

int pool_file_line(const struct pool_file *f, const struct pool_loss *loss)
{
	for (uint32_t i = 0; i < f->p.nr_cpuid && loss->what == POOL_LOST_CPUID; i++)
		if (f->p.cpuid[i].leaf == loss->leaf && f->p.cpuid[i].subleaf == loss->subleaf)
			return f->cpuid_line[i];
	for (uint32_t i = 0; i < f->p.nr_msrs && loss->what == POOL_LOST_MSR; i++)
		if (f->p.msrs[i].index == loss->leaf)
			return f->msr_line[i];
	return loss->what == POOL_LOST_LIST ? f->list_line : 0;
}

static void contradicts(void *ctx, const struct pool_loss *loss)
{
	const struct pool_file *f = ctx;
	struct pool_loss one = *loss, need;
	char text[256], needed[256];
	int line = pool_file_line(f, loss);

	/* One feature of the row says enough, or that the whole row should not be. */
	if (loss->op != POOL_AND) {
		say("%s:%d: the row is out of range, or needs what other rows lack", f->name, line);
		return;
	}
	one.bits = loss->bits & -loss->bits;
	pool_say_bit(text, sizeof(text), &one);
	if (pool_needs(&f->p, &one, &need))
		pool_say_bit(needed, sizeof(needed), &need);
	else
		snprintf(needed, sizeof(needed), "what other rows lack");
	say("%s:%d: %s needs %s", f->name, line, text, needed);
}

int pool_file_contradicts(const struct pool_file *f)
{
	struct droste_pool closed = f->p;

	pool_close(&closed);
	return pool_lost(&f->p, &closed, contradicts, (void *)f) ? -1 : 0;
}

/* --- output --- */

void pool_file_write(FILE *out, const struct droste_pool *p, const char *about)
{
	fprintf(out, FIRST_LINE "\n%s", about);
	pool_file_write_rows(out, p);
}

void pool_file_write_rows(FILE *out, const struct droste_pool *p)
{
	for (uint32_t i = 0; i < p->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &p->cpuid[i];
		char leaf[32];

		snprintf(leaf, sizeof(leaf), e->flags ? "%#x.%u" : "%#x", e->leaf, e->subleaf);
		/* "%#x" prints 0 without a prefix. */
		fprintf(out, "cpuid %-11s 0x%08x 0x%08x 0x%08x 0x%08x\n", e->leaf ? leaf : "0x0", e->regs[0], e->regs[1],
			e->regs[2], e->regs[3]);
	}
	for (uint32_t i = 0; i < p->nr_msrs; i++)
		fprintf(out, "msr %#x 0x%016" PRIx64 "\n", p->msrs[i].index, (uint64_t)p->msrs[i].value);
	if (p->nr_list)
		fprintf(out, "msrs");
	for (uint32_t i = 0, j; i < p->nr_list; i = j) {
		for (j = i + 1; j < p->nr_list && p->list[j] == p->list[j - 1] + 1; j++)
			;
		fprintf(out, j > i + 1 ? " %#x-%#x" : " %#x", p->list[i], p->list[j - 1]);
	}
	fprintf(out, "%s", p->nr_list ? "\n" : "");
	fprintf(out, "tsc-khz %u", p->tsc_khz);
	if (p->tsc_khz_max != p->tsc_khz)
		fprintf(out, "-%u", p->tsc_khz_max);
	fprintf(out, "%s\n", p->flags & DROSTE_POOL_TSC_SCALING ? " scaling" : "");
}
