// SPDX-License-Identifier: GPL-2.0
/* Checks "drostectl profile": files that are written and read again, wrong files, and what a guest's memory then has. */
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
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
	ok(strstr(text, "acpi FACP \"MAKER \" \"a\\\"b\\\\c\\x00  \" \"AMI \"\n") && strstr(text, "plain-msr 0x199 0x0000000000000001 drops\n"));
	ok(!parse(text) && f.p.nr_msrs == 2 && f.p.nr_acpi == 1);
	free(text);
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
		{ HEAD "plain-msr 0x480 1\n", ":4: this MSR tells of features" },
		{ HEAD "plain-msr 0x808 1\n", ":4: the local APIC has this MSR" },
		{ HEAD "plain-msr 0x4b564d00 1\n", ":4: only hypervisors have this MSR" },
		{ HEAD "msr 0x8b 1\nplain-msr 0x8b 1\n", ":5: line 4 has this MSR already" },
		{ HEAD "acpi\n", ":4: a guest's tables are" },
		{ HEAD "acpi HPET \"MAKER \" \"12345678\" \"AMI \"\n", ":4: a guest's tables are" },
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
	check_memory();
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
