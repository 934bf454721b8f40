// SPDX-License-Identifier: GPL-2.0
/* Checks "drostectl profile": files that are written and read again, wrong files, and what a guest's memory then has. */
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "hpet.h"
#include "layout.h"
#include "mem.h"
#include "pin.h"
#include "profilefile.h"
#include "profilerun.h"
#include "smbios.h"
#include "spawn.h"
#include "tap.h"

#define HEAD	"droste-profile 1\ncpuid 0x0 0xd 1 1 1\ncpuid 0x1 1 0 0 0\n"
static struct profile_file f;
static struct child c;
static char file[80];

#define profile(...) run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "profile", __VA_ARGS__, NULL })

static int parse(const char *text)
{
	static char copy[1 << 16];
	size_t n = strlen(text);

	memcpy(copy, text, n + 1);
	return profile_file_parse(&f, "file", copy, n);
}

/* --- files --- */

static void check_good(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out;

	ok(!parse(HEAD));
	ok(!parse(HEAD "smbios-version 2.8\nsmbios 7f040000\n"));
	ok(!parse(HEAD "smbios-version 3.2\nsmbios 0b050000ff \"one\" \"two\"\nacpi RSDP \"abcdef\" \"12345678\" \"wxyz\"\n"));
	ok(f.p.nr_smbios == 1 && f.p.smbios[0].length == 5 + 4 + 4 + 1);
	ok(!memcmp(f.p.smbios[0].bytes + 5, "one\0two\0", 9));
	ok(f.p.smbios_major == 3 && f.p.smbios_minor == 2);
	ok(!parse(HEAD "plain-msr 0xce 0x80000\nplain-msr 0x199 0x1 drops\nacpi FACP \"MAKER \" \"a\\\"b\\\\c\\x00  \" \"AMI \"\n"));
	ok(profile_msr_find(&f.p, 0xce)->value == 0x80000 && !profile_msr_find(&f.p, 0xce)->drops);
	ok(profile_msr_find(&f.p, 0x199)->drops && !profile_msr_find(&f.p, 0xcf) && !profile_msr_find(NULL, 0xce));
	ok(!memcmp(profile_acpi_find(&f.p, "DSDT")->table, "a\"b\\c\0  ", 8));
	/* What is written is what was read. */
	out = open_memstream(&text, &size);
	profile_file_write(out, &f.cpu.p, &f.p, "");
	fclose(out);
	ok(!strstr(text, "clock") && !strstr(text, "thermal"));
	ok(strstr(text, "acpi FACP \"MAKER \" \"a\\\"b\\\\c\\x00  \" \"AMI \"\n") && strstr(text, "plain-msr 0x199 0x0000000000000001 drops\n"));
	ok(!parse(text) && f.p.nr_msrs == 2 && f.p.nr_acpi == 1);
	free(text);
}

/* Rows that are written and read again. */
static void check_again(const char *rows)
{
	char *text = NULL, both[256];
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	snprintf(both, sizeof(both), HEAD "%s", rows);
	ok(!parse(both));
	profile_file_write(out, &f.cpu.p, &f.p, "");
	fclose(out);
	ok(strstr(text, rows) && !parse(text));
	free(text);
}

static void check_clock(void)
{
	check_again("clock 200000 -12\n");
	ok(f.p.hides && f.p.knows_ticks && f.p.clock_bound == 200000 && f.p.clock_ticks == -12);
	check_again("clock 1000000\n");
	ok(f.p.hides && !f.p.knows_ticks && f.p.clock_bound == 1000000);
	check_again("thermal-zone 38 105\n");
	ok(f.p.thermal_now == 38 && f.p.thermal_critical == 105 && !f.p.hides);
}

static void check_wrong(void)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "", ":1: the first line is not \"droste-profile 1\"" },
		{ "droste-pool 1\n", ":1: the first line is not" },
		{ HEAD "mystery 1\n", ":4: unknown row: \"mystery\"" },
		{ HEAD "cpuid 0x1 1 0 0 0\n", ":4: line 3 has this leaf already" },
		{ "droste-profile 1\ncpuid 0x0 0xd 1 1 1\ncpuid 0x1 1 0 0x80000000 0\n", ":3: bit 31 of ECX is the hypervisor's" },
		{ HEAD "cpuid 0x40000000 0x40000001 1 1 1\n", ":4: only hypervisors have this leaf" },
		{ HEAD "cpuid 0x7.0 0 0x20 0 0\n", ":4: AVX2" },
		{ HEAD "plain-msr\n", ":4: the row ends where an MSR is expected" },
		{ HEAD "plain-msr 0xce\n", ":4: the row ends where a value is expected" },
		{ HEAD "plain-msr 0xce 1 keeps\n", ":4: only \"drops\" may follow" },
		{ HEAD "plain-msr 0xce 1 drops 2\n", ":4: the row has more than it needs" },
		{ HEAD "plain-msr 0xce 1\nplain-msr 0xce 1\n", ":5: line 4 has this MSR already" },
		{ HEAD "plain-msr 0x10 1\n", ":4: the time-stamp counter" },
		{ HEAD "plain-msr 0xe8 1\n", ":4: this MSR counts" },
		{ HEAD "plain-msr 0x480 1\n", ":4: this MSR tells of features" },
		{ HEAD "plain-msr 0x808 1\n", ":4: the local APIC has this MSR" },
		{ HEAD "plain-msr 0x4b564d00 1\n", ":4: only hypervisors have this MSR" },
		{ HEAD "msr 0x8b 1\nplain-msr 0x8b 1\n", ":5: line 4 has this MSR already" },
		{ HEAD "thermal-zone 30\n", ":4: the row ends where the critical temperature is expected" },
		{ HEAD "thermal-zone 30 201\n", ":4: " },
		{ HEAD "thermal-zone 90 90\n", ":4: the temperature is not below" },
		{ HEAD "thermal-zone 30 90 1\n", ":4: the row has more than it needs" },
		{ HEAD "thermal-zone 30 90\nthermal-zone 30 90\n", ":5: there is a thermal zone already" },
		{ HEAD "clock\n", ":4: the row ends where a bound in ns is expected" },
		{ HEAD "clock 0\n", ":4: a bound of 0 hides nothing" },
		{ HEAD "clock 1000001\n", ":4: " },
		{ HEAD "clock 1000 100001\n", ":4: not ticks from" },
		{ HEAD "clock 1000 12x\n", ":4: not ticks from" },
		{ HEAD "clock 1000 -12 3\n", ":4: the row has more than it needs" },
		{ HEAD "clock 1000\nclock 1000\n", ":5: there is a clock already" },
		{ HEAD "acpi\n", ":4: a guest's tables are" },
		{ HEAD "acpi SSDT \"MAKER \" \"12345678\" \"AMI \"\n", ":4: a guest's tables are" },
		{ HEAD "acpi FACP \"MAKER\" \"12345678\" \"AMI \"\n", ":4: a text of 6 characters is expected" },
		{ HEAD "acpi FACP \"MAKERS!\" \"12345678\" \"AMI \"\n", ":4: a text is too long" },
		{ HEAD "acpi FACP \"MAKER \" \"12345678\"\n", ":4: a text of 4 characters is expected" },
		{ HEAD "acpi FACP MAKER \"12345678\" \"AMI \"\n", ":4: not a text in quotation marks" },
		{ HEAD "acpi FACP \"MAKER \"\"12345678\" \"AMI \"\n", ":4: a space is missing" },
		{ HEAD "acpi FACP \"MAKER \" \"1234567\n", ":4: a text without its second quotation mark" },
		{ HEAD "acpi FACP \"MAKER\\n\" \"12345678\" \"AMI \"\n", ":4: after a \\" },
		{ HEAD "acpi FACP \"MAKER \" \"12345678\" \"AMI \" 1\n", ":4: the row has more than it needs" },
		{ HEAD "acpi FACP \"MAKER \" \"12345678\" \"AMI \"\nacpi FACP \"MAKER \" \"12345678\" \"AMI \"\n", ":5: line 4 has this table" },
		{ HEAD "smbios 7f040000\n", ":4: there are structures of SMBIOS, and no row" },
		{ HEAD "smbios-version 2.8\n", ":4: there is a version of SMBIOS without structures" },
		{ HEAD "smbios-version 1.8\n", ":4: not a version from" },
		{ HEAD "smbios-version 2\n", ":4: not a version such as" },
		{ HEAD "smbios-version 2.8\nsmbios 7f0400\n", ":5: not a structure's 4 to 255 bytes" },
		{ HEAD "smbios-version 2.8\nsmbios 7f04000g\n", ":5: not hexadecimal digits" },
		{ HEAD "smbios-version 2.8\nsmbios 7f050000\n", ":5: the structure has 4 bytes, and its second byte says 5" },
		{ HEAD "smbios-version 2.8\nsmbios 7f040000\nsmbios 7e040000\n", ":6: line 5 has a structure with this handle" },
		{ HEAD "smbios-version 2.8\nsmbios 01040000\nsmbios 01040100\n", ":6: line 5 has a structure with this type" },
		{ HEAD "smbios-version 2.8\nsmbios 7f040000 \"\"\n", ":5: a string of SMBIOS is not empty" },
		{ HEAD "smbios-version 2.8\nsmbios 7f040000 \"a\\x00b\"\n", ":5: a string of SMBIOS is not empty" },
		{ HEAD "smbios-version 2.8\nsmbios 7f040000 text\n", ":5: not a text in quotation marks" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(file, wrong[i].text, strlen(wrong[i].text));
		tap_result(profile("check", file) == 2 && memmem(c.told, c.nr_told, wrong[i].why, strlen(wrong[i].why)), __FILE__, __LINE__,
			   wrong[i].why);
	}
	write_file(file, HEAD, strlen(HEAD));
	ok(profile("check", file) == 0 && !c.nr_told);
	ok(profile("check", "/nonexistent") == 2 && profile("check") == 2 && profile("show", file) == 2 && profile("capture", file) == 2);
}

/* --- a guest --- */

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total += *p++;
	return total;
}

/* Checks the lengths of AML's packages: the code of a DSDT is a list of scopes and names. */
static bool packages_end(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		const uint8_t *package = at + (*at == 0x5b ? 2 : 1);
		uint32_t len = package[0] >> 6 ? (package[0] & 0xf) | package[1] << 4 : package[0];

		if (*at == 0x08) {
			/* Name: four letters, then a DWord, a byte of 1, a buffer or a package. */
			at += 5;
			at += *at == 0x0c ? 5 : *at == 0x01 ? 1 : 1 + at[1];
			continue;
		}
		if (*at != 0x10 && *at != 0x5b)
			return false;
		if (!packages_end(package + (package[0] >> 6 ? 2 : 1) + (*at == 0x10 ? 5 : 4), package + len))
			return false;
		at = package + len;
	}
	return at == end;
}

/* A table by its signature: names in the DSDT are followed by other bytes than a length. */
static const uint8_t *table_of(struct guest_mem *mem, const char *name)
{
	const uint8_t *bios = mem_at(mem, GPA_BIOS, GPA_SMBIOS - GPA_BIOS);

	for (uint32_t at = 0; at < GPA_SMBIOS - GPA_BIOS - 36; at += 4)
		if (!memcmp(bios + at, name, 4) && bios[at + 7] == 0 && bios[at + 6] == 0)
			return bios + at;
	return NULL;
}

static void check_tables(void)
{
	static const char *const rows[] = {
		HEAD "acpi FACP \"MAKER \" \"BOARDONE\" \"AMI \"\n",
		HEAD "acpi HPET \"MAKER \" \"BOARDTWO\" \"AMI \"\nthermal-zone 38 105\n",
	};
	static const uint8_t eisa[] = { 0x41, 0xd0, 0x01, 0x03 };
	const uint8_t *dsdt, *facp, *hpet;
	struct guest_mem mem;
	uint32_t len;

	for (int full = 0; full < 2; full++) {
		ok(!mem_init(&mem, 16 << 20));
		ok(!parse(rows[full]));
		ok(acpi_build(&mem, 2, &f.p));
		dsdt = table_of(&mem, "DSDT");
		memcpy(&len, dsdt + 4, 4);
		ok(!sum(dsdt, len) && packages_end(dsdt + 36, dsdt + len));
		ok(memmem(dsdt, len, "TIMR", 4) && memmem(dsdt, len, "RTC_", 4));
		ok(!memmem(dsdt, len, eisa, 4) == !full && !memmem(dsdt, len, "TZ00", 4) == !full);
		facp = table_of(&mem, "FACP");
		ok(facp[76] == (PORT_PM_TMR & 0xff) && facp[91] == 4);
		hpet = table_of(&mem, "HPET");
		ok(!hpet == !full && (!full || (!sum(hpet, 56) && hpet[40] == 0 && !memcmp(hpet + 44, "\0\0\xd0\xfe", 4))));
		mem_free(&mem);
	}
}

static uint64_t fake_ns;

static uint64_t fake_now(void)
{
	return fake_ns;
}

static uint64_t hpet_read(struct hpet *h, uint32_t at, uint32_t len)
{
	uint64_t val = 0;

	hpet_access(h, false, at, (uint8_t *)&val, len);
	return val;
}

static void hpet_write(struct hpet *h, uint32_t at, uint64_t val, uint32_t len)
{
	hpet_access(h, true, at, (uint8_t *)&val, len);
}

static void check_hpet(void)
{
	struct hpet h;
	uint8_t bytes[8];

	hpet_init(&h, fake_now);
	ok(hpet_read(&h, 4, 4) == 69841279 && hpet_read(&h, 0, 4) == HPET_ID && hpet_read(&h, 0, 8) >> 32 == 69841279);
	fake_ns = 1000;
	ok(!hpet_read(&h, 0xf0, 8));
	hpet_write(&h, 0xf0, 100, 8);
	hpet_write(&h, 0x10, 0xff, 4);
	ok(hpet_read(&h, 0x10, 8) == 1);
	fake_ns += 1000000000;
	ok(hpet_read(&h, 0xf0, 8) == 100 + 14318179);
	hpet_write(&h, 0xf0, 5, 8);
	ok(hpet_read(&h, 0xf0, 8) == 100 + 14318179);
	hpet_write(&h, 0x10, 0, 4);
	fake_ns += 1000;
	ok(hpet_read(&h, 0xf0, 8) == 100 + 14318179);
	hpet_write(&h, 0xf4, 7, 4);
	ok(hpet_read(&h, 0xf0, 8) == ((7ULL << 32) | (100 + 14318179)));
	/* No interrupt can be routed, and no access leaves the registers. */
	hpet_write(&h, 0x100, ~0ULL, 8);
	ok(!(hpet_read(&h, 0x100, 8) >> 32) && !(hpet_read(&h, 0x100, 8) & 0x3e00));
	for (uint32_t at = 0; at < HPET_SIZE; at++) {
		memset(bytes, 0xaa, sizeof(bytes));
		hpet_access(&h, false, at, bytes, 8);
		hpet_access(&h, true, at, bytes, 8);
	}
	hpet_write(&h, 0x108, 0x1122334455667788ULL, 8);
	ok(hpet_read(&h, 0x10c, 8) == 0x11223344 && hpet_read(&h, 0x108, 8) == 0x1122334455667788ULL);
	ok(!hpet_read(&h, 0x168, 8) && !hpet_read(&h, 0x3f8, 8));
}

static void check_memory(void)
{
	const uint8_t *entry, *rsdp;
	struct guest_mem mem;

	ok(!mem_init(&mem, 16 << 20));
	ok(!parse(HEAD "acpi FACP \"MAKER \" \"BOARDONE\" \"AMI \"\nacpi DSDT \"OTHER \" \"BOARDTWO\" \"INTL\"\n"
		  "smbios-version 2.8\nsmbios 01040100 \"x\"\nsmbios 11040200\n"));
	ok(!smbios_build(&mem, &f.p));
	entry = mem_at(&mem, GPA_SMBIOS, 64);
	ok(!memcmp(entry, "_SM_", 4) && entry[5] == 31 && !sum(entry, 31) && !memcmp(entry + 16, "_DMI_", 5) && !sum(entry + 16, 15));
	ok(entry[6] == 2 && entry[7] == 8);
	/* The two structures, and the end that the profile does not have. */
	ok(entry[28] == 3 && entry[22] == 7 + 6 + 6 && entry[8] == 7);
	ok(!memcmp(entry + 32, "\x01\x04\x01\x00x\0\0\x11\x04\x02\x00\0\0\x7f\x04", 15));
	rsdp = mem_at(&mem, acpi_build(&mem, 1, &f.p), 36);
	ok(!memcmp(rsdp + 9, "MAKER ", 6) && !sum(rsdp, 20) && !sum(rsdp, 36));
	ok(memmem(rsdp, 4096, "OTHER BOARDTWO", 14) && memmem(rsdp, 4096, "MAKER BOARDONE", 14));
	ok(!memmem(rsdp, 4096, "DROST", 5) && !memmem(rsdp, 4096, "DRST", 4));
	ok(!parse(HEAD "smbios-version 3.1\nsmbios 7f040100\n") && !smbios_build(&mem, &f.p));
	ok(!memcmp(entry, "_SM3_", 5) && entry[6] == 24 && !sum(entry, 24) && entry[12] == 6);
	mem_free(&mem);
}

static void check_exits(void)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_X86_RDMSR, .msr = { .index = 0xce } };

	ok(!parse(HEAD "plain-msr 0xce 0x80000\nplain-msr 0x199 0x1 drops\n"));
	profile_run_exit(&f.p, &run);
	ok(!run.msr.error && run.msr.data == 0x80000);
	run.exit_reason = KVM_EXIT_X86_WRMSR;
	profile_run_exit(&f.p, &run);
	ok(run.msr.error);
	run.msr.index = 0x199;
	profile_run_exit(&f.p, &run);
	ok(!run.msr.error);
	run.exit_reason = KVM_EXIT_X86_RDMSR;
	run.msr.index = 0x198;
	profile_run_exit(&f.p, &run);
	ok(run.msr.error);
	profile_run_exit(NULL, &run);
	ok(run.msr.error);
}

/* The CPU of this process; a guest whose thread could not be pinned would not run. */
static void check_pin(void)
{
	static const struct {
		const char *list, *cpus, *why;
	} wrong[] = {
		{ "0,0", "2", "--pin names CPU 0 twice" },
		{ "0", "2", "--pin names 1 CPUs for 2" },
		{ "1023", "1", "there is no CPU 1023" },
		{ "x", "1", "pin" },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		tap_result(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "run", "--kernel", kernel, "--cpus", (char *)wrong[i].cpus, "--pin",
				      (char *)wrong[i].list, NULL }) == 2 && memmem(c.told, c.nr_told, wrong[i].why, strlen(wrong[i].why)),
			   __FILE__, __LINE__, wrong[i].why);
	ok(!pin_check("0", 1) && !pin_thread("0", 0, pthread_self()));
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	snprintf(file, sizeof(file), "%s/profile", work);
	check_good();
	check_wrong();
	check_clock();
	check_memory();
	check_tables();
	check_hpet();
	check_exits();
	/* "run" refuses before there is a VM. */
	write_file(file, HEAD "mystery\n", strlen(HEAD "mystery\n"));
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "run", "--kernel", kernel, "--profile", file, NULL }) == 2 &&
	   memmem(c.told, c.nr_told, ":4: unknown row", 15) && !memmem(c.told, c.nr_told, "stub:", 5));
	check_pin();
	unlink(file);
	spawn_end();
	return tap_done();
}
