// SPDX-License-Identifier: GPL-2.0
/* Reads the machine that drostectl runs on: CPUID, MSRs, ACPI's identities and SMBIOS. */
#include "profilehost.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "say.h"

#define MSR_FILE	"/dev/cpu/0/msr"
#define ACPI_TABLES	"/sys/firmware/acpi/tables/"
#define DMI_TABLES	"/sys/firmware/dmi/tables/"
#define LEAF1_EBX_ID	0xff000000U
#define LEAF1_ECX_OSXSAVE	(1U << 27)
#define LEAF7_ECX_OSPKE	(1U << 4)
#define MSR_ARCH_CAPABILITIES	0x10a
#define LEAF7_EDX_ARCH_CAPABILITIES	(1U << 29)

/* MSRs that hold one value while a guest runs, and that user space of the host may read. SDM 4, tables 2-2 and 2-20. */
static const struct {
	uint32_t index;
	bool drops;	/* the processor takes a write; it has no effect in a guest */
} plain[] = {
	{ 0x17, false },	/* IA32_PLATFORM_ID */
	{ 0x34, false },	/* MSR_SMI_COUNT */
	{ 0x35, false },	/* MSR_CORE_THREAD_COUNT */
	{ 0x8b, true },		/* IA32_BIOS_SIGN_ID */
	{ 0xce, false },	/* MSR_PLATFORM_INFO */
	{ 0xe2, true },		/* MSR_PKG_CST_CONFIG_CONTROL */
	{ 0x140, true },	/* MISC_FEATURES_ENABLES */
	{ 0x198, false },	/* IA32_PERF_STATUS */
	{ 0x199, true },	/* IA32_PERF_CTL */
	{ 0x19a, true },	/* IA32_CLOCK_MODULATION */
	{ 0x19b, true },	/* IA32_THERM_INTERRUPT */
	{ 0x19c, true },	/* IA32_THERM_STATUS */
	{ 0x1a0, true },	/* IA32_MISC_ENABLE */
	{ 0x1a2, true },	/* MSR_TEMPERATURE_TARGET */
	{ 0x1a4, true },	/* MSR_MISC_FEATURE_CONTROL */
	{ 0x1ad, true },	/* MSR_TURBO_RATIO_LIMIT */
	{ 0x1b0, true },	/* IA32_ENERGY_PERF_BIAS */
	{ 0x1b1, true },	/* IA32_PACKAGE_THERM_STATUS */
	{ 0x1b2, true },	/* IA32_PACKAGE_THERM_INTERRUPT */
	{ 0x1fc, true },	/* MSR_POWER_CTL */
	{ 0x606, false },	/* MSR_RAPL_POWER_UNIT */
	{ 0x64f, true },	/* MSR_CORE_PERF_LIMIT_REASONS */
};

static int read_msr(int fd, uint32_t index, uint64_t *value)
{
	return pread(fd, value, sizeof(*value), index) == sizeof(*value) ? 0 : -1;
}

static void add_leaf(struct droste_pool *p, uint32_t leaf, uint32_t sub)
{
	struct droste_pool_cpuid *e = &p->cpuid[p->nr_cpuid];
	int indexed = pool_leaf_indexed(leaf);

	if (indexed < 0 || p->nr_cpuid == DROSTE_POOL_CPUID)
		return;
	*e = (struct droste_pool_cpuid) { .leaf = leaf, .subleaf = sub, .flags = indexed ? DROSTE_POOL_INDEXED : 0 };
	__cpuid_count(leaf, sub, e->regs[0], e->regs[1], e->regs[2], e->regs[3]);
	/* The APIC ID is each processor's own. */
	if (leaf == 1)
		e->regs[POOL_EBX] &= ~LEAF1_EBX_ID;
	if (leaf == 0xb || leaf == 0x1f)
		e->regs[POOL_EDX] = 0;
	/* These two tell what the kernel has set in CR4. */
	if (leaf == 1)
		e->regs[POOL_ECX] &= ~LEAF1_ECX_OSXSAVE;
	if (leaf == 7 && !sub)
		e->regs[POOL_ECX] &= ~LEAF7_ECX_OSPKE;
	p->nr_cpuid++;
}

static void add_subleaves(struct droste_pool *p, uint32_t leaf)
{
	uint32_t most = leaf == 7 ? 3 : leaf == 0xd ? 63 : 16;

	for (uint32_t sub = 0; sub < most; sub++) {
		uint32_t a, b, c, d;

		__cpuid_count(leaf, sub, a, b, c, d);
		/* The caches and the levels end with the first of type 0. */
		if ((leaf == 4 && !(a & 0x1f)) || ((leaf == 0xb || leaf == 0x1f) && !(c >> 8 & 0xff)))
			return;
		if (sub < 2 || a | b | c | d)
			add_leaf(p, leaf, sub);
	}
}

int profile_host_cpu(struct droste_pool *p)
{
	uint32_t highest, extended, a, b, c, d;
	uint64_t value;
	int fd;

	memset(p, 0, sizeof(*p));
	__cpuid(0, highest, b, c, d);
	__cpuid(0x80000000, extended, b, c, d);
	for (uint32_t leaf = 0; leaf <= highest; leaf++) {
		if (pool_leaf_indexed(leaf) > 0)
			add_subleaves(p, leaf);
		else
			add_leaf(p, leaf, 0);
	}
	for (uint32_t leaf = 0x80000000; leaf <= extended && leaf < 0x80000100; leaf++)
		add_leaf(p, leaf, 0);
	__cpuid_count(7, 0, a, b, c, d);
	fd = open(MSR_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		say("cannot open " MSR_FILE ": %s%s", strerror(errno), errno == ENOENT ? "; load the module msr" : "");
		return -1;
	}
	if (highest >= 7 && d & LEAF7_EDX_ARCH_CAPABILITIES && !read_msr(fd, MSR_ARCH_CAPABILITIES, &value))
		p->msrs[p->nr_msrs++] = (struct droste_pool_msr) { .index = MSR_ARCH_CAPABILITIES, .value = value };
	close(fd);
	return 0;
}

static int host_msrs(struct profile *p)
{
	int fd = open(MSR_FILE, O_RDONLY | O_CLOEXEC);
	uint64_t value;

	if (fd < 0) {
		say("cannot open " MSR_FILE ": %s", strerror(errno));
		return -1;
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!read_msr(fd, plain[i].index, &value))
			p->msr[p->nr_msrs++] = (struct profile_msr) { plain[i].index, plain[i].drops, value };
	close(fd);
	return 0;
}

/* Reads up to @size bytes of a file; 0 if it cannot be read. */
static size_t read_file(const char *directory, const char *name, void *to, size_t size)
{
	size_t done = 0;
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (done < size && (n = read(fd, (char *)to + done, size - done)) > 0)
		done += n;
	close(fd);
	return done;
}

/* ACPI 6.4, 5.2.6: OEM, table and creator in the header. The kernel does not show the RSDP: its OEM is FACP's. */
static void host_acpi(struct profile *p)
{
	static const char *const tables[] = { "FACP", "DSDT", "APIC", "HPET" };
	uint8_t header[36];

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct profile_acpi *t = &p->acpi[p->nr_acpi];

		if (read_file(ACPI_TABLES, tables[i], header, sizeof(header)) < sizeof(header))
			continue;
		memcpy(t->signature, tables[i], 4);
		memcpy(t->oem, header + 10, 6);
		memcpy(t->table, header + 16, 8);
		memcpy(t->creator, header + 28, 4);
		p->nr_acpi++;
	}
	if (!p->nr_acpi)
		say("this machine shows no tables of ACPI in " ACPI_TABLES);
}

/* The structures, each with its strings. SMBIOS 3.1, 6.1.2 and 6.1.3. */
static void split_smbios(struct profile *p, const uint8_t *table, size_t size)
{
	const uint8_t *at = table, *end = table + size;

	while (at + 6 <= end && at[1] >= 4 && at + at[1] + 2 <= end && p->nr_smbios < PROFILE_SMBIOS) {
		struct profile_smbios *s = &p->smbios[p->nr_smbios];
		const uint8_t *last = at + at[1];

		while (last + 2 <= end && (last[0] || last[1]))
			last++;
		if (last + 2 > end)
			return;
		if (last + 2 - at <= SMBIOS_LONGEST) {
			s->length = last + 2 - at;
			memcpy(s->bytes, at, s->length);
			p->nr_smbios++;
		} else {
			say("a structure of SMBIOS of type %u is left out: it is longer than %d bytes", at[0], SMBIOS_LONGEST);
		}
		if (at[0] == 127)
			return;
		at = last + 2;
	}
}

static void host_smbios(struct profile *p)
{
	static uint8_t table[65536];
	uint8_t entry[32];
	size_t size = read_file(DMI_TABLES, "smbios_entry_point", entry, sizeof(entry));

	if (size >= 24 && !memcmp(entry, "_SM3_", 5)) {
		p->smbios_major = entry[7];
		p->smbios_minor = entry[8];
	} else if (size >= 31 && !memcmp(entry, "_SM_", 4)) {
		p->smbios_major = entry[6];
		p->smbios_minor = entry[7];
	} else {
		say("this machine shows no SMBIOS in " DMI_TABLES);
		return;
	}
	split_smbios(p, table, read_file(DMI_TABLES, "DMI", table, sizeof(table)));
}

/* A file's number in thousandths of degrees, in whole ones; 0 if there is none. */
static unsigned int degrees(const char *directory, const char *name)
{
	char text[32] = "";
	long value;

	if (!read_file(directory, name, text, sizeof(text) - 1))
		return 0;
	value = strtol(text, NULL, 10) / 1000;
	return value > 0 && value <= 200 ? value : 0;
}

/* The first thermal zone of ACPI, if it says at which temperature the machine turns itself off. */
static void host_thermal(struct profile *p)
{
	for (int i = 0; i < 32; i++) {
		char directory[64], text[32] = "", name[32];
		unsigned int now, critical = 0;

		snprintf(directory, sizeof(directory), "/sys/class/thermal/thermal_zone%d/", i);
		if (!read_file(directory, "type", text, sizeof(text) - 1) || strncmp(text, "acpitz", 6))
			continue;
		now = degrees(directory, "temp");
		for (int k = 0; k < 12 && !critical; k++) {
			memset(text, 0, sizeof(text));
			snprintf(name, sizeof(name), "trip_point_%d_type", k);
			if (!read_file(directory, name, text, sizeof(text) - 1) || strncmp(text, "critical", 8))
				continue;
			snprintf(name, sizeof(name), "trip_point_%d_temp", k);
			critical = degrees(directory, name);
		}
		if (now >= critical)
			continue;
		p->thermal_now = now;
		p->thermal_critical = critical;
		return;
	}
}

int profile_host_rest(struct profile *p)
{
	memset(p, 0, sizeof(*p));
	if (host_msrs(p))
		return -1;
	host_acpi(p);
	host_smbios(p);
	host_thermal(p);
	return 0;
}
