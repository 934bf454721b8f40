// SPDX-License-Identifier: GPL-2.0
/*
 * Checks the ACPI tables' checksums and links. Given a directory, it also writes
 * the tables there as NAME.dat, for "iasl -d" to disassemble.
 */
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "layout.h"
#include "tap.h"

static struct guest_mem mem;

static uint8_t sum(const void *p, size_t len)
{
	const uint8_t *byte = p;
	uint8_t s = 0;

	while (len--)
		s += *byte++;
	return s;
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void dump(const char *dir, const char *name, const uint8_t *table)
{
	char path[256];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	f = fopen(path, "w");
	ok(f && fwrite(table, get32(table + 4), 1, f) == 1 && !fclose(f));
}

static const uint8_t *table(uint64_t gpa, const char *name)
{
	const uint8_t *t = mem_at(&mem, gpa, 36);

	ok(t && !memcmp(t, name, 4));
	ok(gpa >= GPA_BIOS && gpa + get32(t + 4) <= GPA_HIGH);
	return t;
}

/* Counts the MADT entries of a type. */
static unsigned int count(const uint8_t *madt, uint8_t type)
{
	unsigned int n = 0;
	uint32_t at = 44;

	for (; at < get32(madt + 4); at += madt[at + 1]) {
		n += madt[at] == type;
		if (!madt[at + 1])
			return ~0U;
	}
	return at == get32(madt + 4) ? n : ~0U;
}

static void check(unsigned int ncpus, const char *dir)
{
	uint64_t gpa = acpi_build(&mem, ncpus, NULL);
	const uint8_t *rsdp = mem_at(&mem, gpa, 36);
	const uint8_t *xsdt, *fadt, *madt, *dsdt, *facs;

	ok(gpa >= GPA_BIOS && !(gpa & 15) && !memcmp(rsdp, "RSD PTR ", 8));
	ok(sum(rsdp, 20) == 0 && sum(rsdp, 36) == 0);
	xsdt = table(get64(rsdp + 24), "XSDT");
	fadt = table(get64(xsdt + 36), "FACP");
	madt = table(get64(xsdt + 44), "APIC");
	dsdt = table(get64(fadt + 140), "DSDT");
	facs = table(get32(fadt + 36), "FACS");
	ok(get64(fadt + 140) == get32(fadt + 40));
	ok(!(get32(fadt + 36) & 63) && get32(facs + 4) == 64);
	ok(!sum(xsdt, get32(xsdt + 4)) && !sum(fadt, get32(fadt + 4)));
	ok(!sum(madt, get32(madt + 4)) && !sum(dsdt, get32(dsdt + 4)));
	ok(count(madt, 0) == (ncpus < 255 ? ncpus : 255));
	ok(count(madt, 9) == (ncpus < 255 ? 0 : ncpus - 255));
	ok(count(madt, 1) == 1);
	dump(dir, "facp", fadt);
	dump(dir, "apic", madt);
	dump(dir, "dsdt", dsdt);
	dump(dir, "facs", facs);
}

int main(int argc, char **argv)
{
	if (mem_init(&mem, 16 << 20))
		return 1;
	check(ACPI_MAX_CPUS, NULL);
	check(1, NULL);
	check(3, argc > 1 ? argv[1] : NULL);
	ok(acpi_build(&mem, ACPI_MAX_CPUS + 1, NULL) == 0);
	return tap_done();
}
