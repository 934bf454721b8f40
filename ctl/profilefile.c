// SPDX-License-Identifier: GPL-2.0
/* Reads and writes profiles: the rows of a pool (poolfile.c), and those of plain MSRs, ACPI and SMBIOS. */
#include "profilefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpuid.h"
#include "say.h"

#define FIRST_LINE	"droste-profile 1"

/* The profile whose processor is being parsed. */
static struct profile_file *of(const struct pool_place *at)
{
	return (struct profile_file *)at->f;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * The next text in quotation marks: \" and \\ are those characters, \xNN a byte. Returns its length; -1 if the line has no
 * more; -2 after a message.
 */
static int next_text(struct pool_place *at, char *to, int size)
{
	char *c = at->rest;
	int len = 0;

	while (c && (*c == ' ' || *c == '\t'))
		c++;
	if (!c || !*c)
		return -1;
	if (*c++ != '"')
		return pool_wrong_word(at, "not a text in quotation marks", c - 1) - 1;
	for (; *c != '"'; c++) {
		int byte = (uint8_t)*c;

		if (!byte)
			return pool_wrong(at, "a text without its second quotation mark") - 1;
		if (*c == '\\' && (c[1] == '"' || c[1] == '\\')) {
			byte = *++c;
		} else if (*c == '\\') {
			if (c[1] != 'x' || hex(c[2]) < 0 || hex(c[3]) < 0)
				return pool_wrong_word(at, "after a \\, only \", \\ and xNN are allowed", c) - 1;
			byte = hex(c[2]) << 4 | hex(c[3]);
			c += 3;
		}
		if (len == size)
			return pool_wrong(at, "a text is too long") - 1;
		to[len++] = byte;
	}
	if (c[1] && c[1] != ' ' && c[1] != '\t')
		return pool_wrong(at, "a space is missing behind a text") - 1;
	at->rest = c[1] ? c + 1 : NULL;
	return len;
}

/* A text of a fixed length. */
static int fixed_text(struct pool_place *at, char *to, int size)
{
	char why[64];
	int len = next_text(at, to, size);

	if (len == -2)
		return -1;
	snprintf(why, sizeof(why), "a text of %d characters is expected", size);
	return len == size ? 0 : pool_wrong(at, why);
}

/* --- plain MSRs --- */

/* MSRs whose value the device computes, or which belong to a hypervisor. */
static const struct {
	uint32_t first, last;
	const char *why;
} computed[] = {
	{ 0x10, 0x10, "the time-stamp counter cannot stand still" },
	{ 0x1b, 0x1b, "the local APIC has this MSR" },
	{ 0x3a, 0x3b, "the guest's firmware or kernel sets this MSR" },
	{ 0xe7, 0xe8, "this MSR counts, if CPUID has its bit" },
	{ 0x10a, 0x10a, "this MSR tells of features: its row is \"msr\"" },
	{ 0x480, 0x4ff, "this MSR tells of features: its row is \"msr\"" },
	{ 0x6e0, 0x6e0, "the local APIC has this MSR" },
	{ 0x800, 0x8ff, "the local APIC has this MSR" },
	{ 0x40000000, 0x400001ff, "only hypervisors have this MSR" },
	{ 0x4b564d00, 0x4b564dff, "only hypervisors have this MSR" },
	{ 0xc0000080, 0xc0000084, "the guest's kernel sets this MSR" },
	{ 0xc0000100, 0xc0000103, "the guest's kernel sets this MSR" },
};

static int row_plain_msr(struct pool_place *at)
{
	struct profile_file *f = of(at);
	struct profile *p = &f->p;
	uint64_t index, value;
	char *word;

	if (pool_number_word(at, "an MSR", UINT32_MAX, &index) || pool_number_word(at, "a value", UINT64_MAX, &value))
		return -1;
	word = pool_next_word(at);
	if (word && strcmp(word, "drops"))
		return pool_wrong_word(at, "only \"drops\" may follow the value", word);
	for (size_t i = 0; i < sizeof(computed) / sizeof(computed[0]); i++)
		if (index >= computed[i].first && index <= computed[i].last)
			return pool_wrong(at, computed[i].why);
	for (unsigned int i = 0; i < p->nr_msrs; i++)
		if (p->msr[i].index == index) {
			say("%s:%d: line %d has this MSR already", at->f->name, at->line, f->msr_line[i]);
			return -1;
		}
	if (p->nr_msrs == PROFILE_MSRS)
		return pool_wrong(at, "too many MSRs");
	f->msr_line[p->nr_msrs] = at->line;
	p->msr[p->nr_msrs++] = (struct profile_msr) { .index = index, .drops = word, .value = value };
	return word ? pool_line_ends(at) : 0;
}

/* --- ACPI --- */

/* The tables of a guest (acpi.c). */
static const char *const tables[] = { "RSDP", "XSDT", "FACP", "DSDT", "APIC", "HPET" };

static int row_acpi(struct pool_place *at)
{
	struct profile_file *f = of(at);
	struct profile *p = &f->p;
	char *word = pool_next_word(at);
	struct profile_acpi *t = &p->acpi[p->nr_acpi];
	size_t i;

	for (i = 0; word && i < sizeof(tables) / sizeof(tables[0]) && strcmp(word, tables[i]); i++)
		;
	if (!word || i == sizeof(tables) / sizeof(tables[0]))
		return pool_wrong_word(at, "a guest's tables are RSDP, XSDT, FACP, DSDT, APIC and HPET", word ? word : "");
	for (unsigned int k = 0; k < p->nr_acpi; k++)
		if (!memcmp(p->acpi[k].signature, word, 4)) {
			say("%s:%d: line %d has this table already", at->f->name, at->line, f->acpi_line[k]);
			return -1;
		}
	memcpy(t->signature, word, 4);
	if (fixed_text(at, t->oem, sizeof(t->oem)) || fixed_text(at, t->table, sizeof(t->table)) ||
	    fixed_text(at, t->creator, sizeof(t->creator)))
		return -1;
	f->acpi_line[p->nr_acpi++] = at->line;
	return pool_line_ends(at);
}

/* --- SMBIOS --- */

static int row_smbios_version(struct pool_place *at)
{
	struct profile_file *f = of(at);
	char *word = pool_next_word(at), *end;
	unsigned long major, minor;

	if (f->version_line)
		return pool_wrong(at, "there is a version of SMBIOS already");
	f->version_line = at->line;
	major = word ? strtoul(word, &end, 10) : 0;
	if (!word || *word < '0' || *word > '9' || *end != '.' || end[1] < '0' || end[1] > '9')
		return pool_wrong_word(at, "not a version such as 2.8", word ? word : "");
	minor = strtoul(end + 1, &end, 10);
	if (*end || (major != 2 && major != 3) || minor > 255)
		return pool_wrong_word(at, "not a version from 2.0 to 3.255", word);
	f->p.smbios_major = major;
	f->p.smbios_minor = minor;
	return pool_line_ends(at);
}

/* The formatted area, as hexadecimal digits. Returns its length, or -1 after a message. SMBIOS 3.1, 6.1.2. */
static int formatted_area(struct pool_place *at, uint8_t *to)
{
	char *word = pool_next_word(at);
	size_t digits = word ? strlen(word) : 0;

	if (digits < 8 || digits % 2 || digits > 2 * 255)
		return pool_wrong(at, "not a structure's 4 to 255 bytes, as hexadecimal digits");
	for (size_t i = 0; i < digits; i += 2) {
		if (hex(word[i]) < 0 || hex(word[i + 1]) < 0)
			return pool_wrong_word(at, "not hexadecimal digits", word + i);
		to[i / 2] = hex(word[i]) << 4 | hex(word[i + 1]);
	}
	if (to[1] != digits / 2) {
		say("%s:%d: the structure has %zu bytes, and its second byte says %u", at->f->name, at->line, digits / 2, to[1]);
		return -1;
	}
	return digits / 2;
}

static uint16_t handle(const struct profile_smbios *s)
{
	return s->bytes[2] | s->bytes[3] << 8;
}

static int row_smbios(struct pool_place *at)
{
	struct profile_file *f = of(at);
	struct profile *p = &f->p;
	struct profile_smbios *s;
	int len;

	if (p->nr_smbios == PROFILE_SMBIOS)
		return pool_wrong(at, "too many structures");
	s = &p->smbios[p->nr_smbios];
	len = formatted_area(at, s->bytes);
	if (len < 0)
		return -1;
	for (unsigned int i = 0; i < p->nr_smbios; i++) {
		/* There is one BIOS, and one system. */
		if (handle(&p->smbios[i]) != handle(s) && (p->smbios[i].bytes[0] != s->bytes[0] || s->bytes[0] > 1))
			continue;
		say("%s:%d: line %d has a structure with this %s already", at->f->name, at->line, f->smbios_line[i],
		    handle(&p->smbios[i]) == handle(s) ? "handle" : "type");
		return -1;
	}
	s->length = len;
	for (;;) {
		char text[256];
		int got = next_text(at, text, sizeof(text));

		if (got == -1)
			break;
		if (got == -2)
			return -1;
		if (!got || memchr(text, 0, got))
			return pool_wrong(at, "a string of SMBIOS is not empty, and has no zero byte");
		if (s->length + got + 2 > SMBIOS_LONGEST)
			return pool_wrong(at, "the structure is too long");
		memcpy(s->bytes + s->length, text, got);
		s->length += got;
		s->bytes[s->length++] = 0;
	}
	/* Without strings, two zeros end it; with strings, one more. */
	if (s->length == len)
		s->bytes[s->length++] = 0;
	s->bytes[s->length++] = 0;
	f->smbios_line[p->nr_smbios++] = at->line;
	return 0;
}

/* --- the thermal zone, and the clock --- */

static int row_thermal_zone(struct pool_place *at)
{
	struct profile_file *f = of(at);
	uint64_t now, critical;

	if (f->thermal_line)
		return pool_wrong(at, "there is a thermal zone already");
	f->thermal_line = at->line;
	if (pool_number_word(at, "a temperature", 200, &now) || pool_number_word(at, "the critical temperature", 200, &critical))
		return -1;
	if (now >= critical)
		return pool_wrong(at, "the temperature is not below the critical one");
	f->p.thermal_now = now;
	f->p.thermal_critical = critical;
	return pool_line_ends(at);
}

#define CLOCK_MOST_NS		1000000
#define CLOCK_MOST_TICKS	100000

static int row_clock(struct pool_place *at)
{
	struct profile_file *f = of(at);
	uint64_t bound;
	char *word, *end;
	long ticks;

	if (f->clock_line)
		return pool_wrong(at, "there is a clock already");
	f->clock_line = at->line;
	if (pool_number_word(at, "a bound in ns", CLOCK_MOST_NS, &bound))
		return -1;
	if (!bound)
		return pool_wrong(at, "a bound of 0 hides nothing");
	f->p.hides = true;
	f->p.clock_bound = bound;
	word = pool_next_word(at);
	if (!word)
		return 0;
	ticks = strtol(word, &end, 10);
	if (!*word || *end || ticks < -CLOCK_MOST_TICKS || ticks > CLOCK_MOST_TICKS)
		return pool_wrong_word(at, "not ticks from -100000 to 100000", word);
	f->p.knows_ticks = true;
	f->p.clock_ticks = ticks;
	return pool_line_ends(at);
}

/* --- the file --- */

static const struct pool_row rows[] = {
	{ "plain-msr", row_plain_msr },
	{ "acpi", row_acpi },
	{ "smbios-version", row_smbios_version },
	{ "smbios", row_smbios },
	{ "thermal-zone", row_thermal_zone },
	{ "clock", row_clock },
};

/* What no real machine has. */
static int hypervisors(const struct profile_file *f)
{
	const struct droste_pool *p = &f->cpu.p;
	int ret = 0;

	for (uint32_t i = 0; i < p->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &p->cpuid[i];

		if (e->leaf >= LEAF_HYPERVISOR && e->leaf < LEAF_HYPERVISOR + 0x10000000) {
			say("%s:%d: only hypervisors have this leaf", f->cpu.name, f->cpu.cpuid_line[i]);
			ret = -1;
		}
		if (e->leaf == 1 && e->regs[POOL_ECX] & LEAF1_ECX_HYPERVISOR) {
			say("%s:%d: bit 31 of ECX is the hypervisor's", f->cpu.name, f->cpu.cpuid_line[i]);
			ret = -1;
		}
	}
	return ret;
}

static int contradicts(const struct profile_file *f)
{
	int ret = 0;

	for (unsigned int i = 0; i < f->p.nr_msrs; i++)
		for (uint32_t k = 0; k < f->cpu.p.nr_msrs; k++)
			if (f->cpu.p.msrs[k].index == f->p.msr[i].index) {
				say("%s:%d: line %d has this MSR already", f->cpu.name, f->msr_line[i], f->cpu.msr_line[k]);
				ret = -1;
			}
	if (f->p.nr_smbios && !f->version_line) {
		say("%s:%d: there are structures of SMBIOS, and no row \"smbios-version\"", f->cpu.name, f->smbios_line[0]);
		ret = -1;
	}
	if (f->version_line && !f->p.nr_smbios) {
		say("%s:%d: there is a version of SMBIOS without structures", f->cpu.name, f->version_line);
		ret = -1;
	}
	return ret;
}

int profile_file_parse(struct profile_file *f, const char *name, char *data, size_t size)
{
	int ret;

	memset(f, 0, sizeof(*f));
	if (pool_file_parse_more(&f->cpu, name, data, size, FIRST_LINE, rows, sizeof(rows) / sizeof(rows[0])))
		return -1;
	ret = hypervisors(f);
	ret |= contradicts(f);
	return ret | pool_file_contradicts(&f->cpu);
}

int profile_file_read(struct profile_file *f, const char *name)
{
	size_t size;
	char *data = pool_file_whole(name, &size);
	int ret = data ? profile_file_parse(f, name, data, size) : -1;

	free(data);
	return ret;
}

/* --- output --- */

static void write_text(FILE *out, const void *text, size_t len)
{
	const uint8_t *c = text;

	fprintf(out, " \"");
	for (; len; c++, len--) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c >= ' ' && *c <= '~')
			fputc(*c, out);
		else
			fprintf(out, "\\x%02x", *c);
	}
	fprintf(out, "\"");
}

static void write_smbios(FILE *out, const struct profile_smbios *s)
{
	const uint8_t *at = s->bytes + s->bytes[1], *end = s->bytes + s->length;

	fprintf(out, "smbios ");
	for (int i = 0; i < s->bytes[1]; i++)
		fprintf(out, "%02x", s->bytes[i]);
	while (at < end && *at) {
		size_t len = strnlen((const char *)at, end - at);

		write_text(out, at, len);
		at += len + 1;
	}
	fprintf(out, "\n");
}

void profile_file_write(FILE *out, const struct droste_pool *cpu, const struct profile *p, const char *about)
{
	fprintf(out, FIRST_LINE "\n%s", about);
	pool_file_write_rows(out, cpu);
	for (unsigned int i = 0; i < p->nr_msrs; i++)
		fprintf(out, "plain-msr %#x 0x%016" PRIx64 "%s\n", p->msr[i].index, p->msr[i].value, p->msr[i].drops ? " drops" : "");
	for (unsigned int i = 0; i < p->nr_acpi; i++) {
		fprintf(out, "acpi %.4s", p->acpi[i].signature);
		write_text(out, p->acpi[i].oem, sizeof(p->acpi[i].oem));
		write_text(out, p->acpi[i].table, sizeof(p->acpi[i].table));
		write_text(out, p->acpi[i].creator, sizeof(p->acpi[i].creator));
		fprintf(out, "\n");
	}
	if (p->nr_smbios)
		fprintf(out, "smbios-version %u.%u\n", p->smbios_major, p->smbios_minor);
	for (unsigned int i = 0; i < p->nr_smbios; i++)
		write_smbios(out, &p->smbios[i]);
	if (p->thermal_critical)
		fprintf(out, "thermal-zone %u %u\n", p->thermal_now, p->thermal_critical);
	if (p->hides && p->knows_ticks)
		fprintf(out, "clock %u %d\n", p->clock_bound, p->clock_ticks);
	else if (p->hides)
		fprintf(out, "clock %u\n", p->clock_bound);
}

/* --- what others look up --- */

const struct profile_msr *profile_msr_find(const struct profile *p, uint32_t index)
{
	for (unsigned int i = 0; p && i < p->nr_msrs; i++)
		if (p->msr[i].index == index)
			return &p->msr[i];
	return NULL;
}

const struct profile_acpi *profile_acpi_find(const struct profile *p, const char *signature)
{
	const struct profile_acpi *facp = NULL;

	for (unsigned int i = 0; p && i < p->nr_acpi; i++) {
		if (!memcmp(p->acpi[i].signature, signature, 4))
			return &p->acpi[i];
		if (!memcmp(p->acpi[i].signature, "FACP", 4))
			facp = &p->acpi[i];
	}
	return facp;
}

bool profile_has_hpet(const struct profile *p)
{
	for (unsigned int i = 0; p && i < p->nr_acpi; i++)
		if (!memcmp(p->acpi[i].signature, "HPET", 4))
			return true;
	return false;
}
