// SPDX-License-Identifier: GPL-2.0
/* Checks "drostectl cpu": dumps of the lab's processors in test/pool, wrong files, names of bits. */
#include <stddef.h>

#include "cpubits.h"
#include "poolfile.h"
#include "spawn.h"
#include "tap.h"

#define DUMPS	"test/pool/"

static struct child c;
static char file[2][80];	/* files that a test makes */

#define cpu(...) run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "cpu", __VA_ARGS__, NULL })

static bool said(const char *text)
{
	return memmem(c.said, c.nr_said, text, strlen(text));
}

static bool told(const char *text)
{
	return memmem(c.told, c.nr_told, text, strlen(text));
}

/* --- hosts of several kinds --- */

static void check_baseline(void)
{
	static char pool[sizeof(c.said)];
	size_t size;

	ok(cpu("baseline", DUMPS "haswell.cpu", DUMPS "skylake_x.cpu", DUMPS "icelake_u.cpu", DUMPS "arrow_lake.cpu") == 0);
	size = c.nr_said;
	memcpy(pool, c.said, size);
	write_file(file[0], pool, size);
	/* The oldest host names the pool, and has most, but not all. */
	ok(said("cpuid 0x1         0x000306c3"));
	ok(told("haswell.cpu loses:\n"));
	ok(told("AVX512F (CPUID 0x7.0:EBX bit 16)\n") && told("CLWB (CPUID 0x7.0:EBX bit 24): stays usable\n"));
	ok(told("RDSEED (CPUID 0x7.0:EBX bit 18)\n") && told("XSAVES (CPUID 0xd.1:EAX bit 3)\n"));
	ok(told("Process posted interrupts (MSR 0x48d bit 39)"));
	/* In another order it is the same. */
	ok(cpu("baseline", DUMPS "arrow_lake.cpu", DUMPS "icelake_u.cpu", DUMPS "skylake_x.cpu", DUMPS "haswell.cpu") == 0);
	ok(size == c.nr_said && !memcmp(pool, c.said, size));
	/* A pool is its own baseline, but for the line that says of how many hosts. */
	ok(cpu("baseline", file[0]) == 0 && told("loses:\n  nothing\n"));
	ok(memmem(pool, size, "cpuid", 5) && said(memmem(pool, size, "cpuid", 5)));
	/* Each host can keep it, and the pool's guests lack something that each host's have. */
	ok(cpu("compare", file[0], DUMPS "haswell.cpu") != 2);
	ok(cpu("compare", file[0], DUMPS "skylake_x.cpu") == 1);
	ok(cpu("compare", file[0], DUMPS "icelake_u.cpu") == 1);
	ok(cpu("compare", file[0], DUMPS "arrow_lake.cpu") == 1);
	ok(cpu("compare", DUMPS "skylake_x.cpu", file[0]) == 2);
}

static void check_compare(void)
{
	ok(cpu("compare", DUMPS "skylake_x.cpu", DUMPS "skylake_x.cpu") == 0 && said("each run on the other"));
	ok(cpu("compare", DUMPS "skylake_x.cpu", DUMPS "arrow_lake.cpu") == 2);
	ok(said("AVX512F (CPUID 0x7.0:EBX bit 16)") && said("XCR0: AVX-512 opmask (CPUID 0xd.0:EAX bit 5)"));
	ok(!said("AVX2 ") && !said("loses") && !c.nr_told);
	ok(cpu("compare", DUMPS "skylake_x.cpu", DUMPS "haswell.cpu") == 2 && said("Use TSC scaling"));
	ok(cpu("compare", DUMPS "skylake_x.cpu") == 3 && told("needs two files"));
	ok(cpu("compare", DUMPS "skylake_x.cpu", "/nonexistent") == 3 && told("cannot read /nonexistent"));
}

/* A feature of BMI1 and ABM gives another result where it is missing. */
static void check_usable(void)
{
	static char text[1 << 16];
	FILE *f = fopen(DUMPS "haswell.cpu", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	char *lzcnt = strstr(text, "0x00000121"), *bmi;

	if (f)
		fclose(f);
	/* LAHF, LZCNT and PREFETCHW are ECX of leaf 0x80000001; leaf 4 begins with the same digits. */
	for (lzcnt = strstr(text, "cpuid 0x80000001"); lzcnt && strncmp(lzcnt, "0x00000121", 10); lzcnt++)
		;
	bmi = strstr(text, "0x000027ab");
	ok(n && lzcnt && bmi);
	if (!lzcnt || !bmi)
		return;
	memcpy(lzcnt, "0x00000101", 10);
	memcpy(bmi, "0x000027a3", 10);
	write_file(file[1], text, n);
	ok(cpu("baseline", file[1], DUMPS "haswell.cpu") == 0);
	ok(told("LZCNT (CPUID 0x80000001:ECX bit 5): STAYS USABLE, and gives another result"));
	ok(told("BMI1 (TZCNT) (CPUID 0x7.0:EBX bit 3): STAYS USABLE, and gives another result"));
}

/* --- wrong files --- */

#define HEAD	"droste-pool 1\ncpuid 0x0 0xd 1 1 1\ncpuid 0x1 1 0 0 0\n"
#define CONTRADICTS	HEAD "cpuid 0x7.0 0 0x20 0 0\n"
#define OTHER_MAKER	"droste-pool 1\ncpuid 0x0 0xd 2 1 1\ncpuid 0x1 1 0 0 0\n"

static void check_wrong(void)
{
	static const struct {
		const char *text, *why;
	} wrong[] = {
		{ "", ":1: the first line is not \"droste-pool 1\"" },
		{ "droste-pool 2\n", ":1: the first line is not" },
		{ "droste-pool 10\n", ":1: the first line is not" },
		{ "# comment\ndroste-pool 1\n", ":1: the first line is not" },
		{ "droste-pool 1\n", "leaves 0 and 1 are missing" },
		{ "droste-pool 1\ncpuid 0x0 1 1 1 1\n", "leaves 0 and 1 are missing" },
		{ HEAD "cpuids 2 0 0 0 0\n", ":4: unknown row: \"cpuids\"" },
		{ HEAD "\n \t\n# comment\n\nfeature avx\n", ":8: unknown row: \"feature\"" },
		{ HEAD "cpuid\n", ":4: the row ends where a leaf is expected" },
		{ HEAD "cpuid 2 0 0 0\n", ":4: the row ends where EDX is expected" },
		{ HEAD "cpuid 2 0 0 0 0 0\n", ":4: the row has more than it needs" },
		{ HEAD "cpuid 2 0 0 0 0x100000000\n", ":4: not a number in its range" },
		{ HEAD "cpuid 2 0 0 0 -1\n", ":4: not a number in its range: \"-1\"" },
		{ HEAD "cpuid 2 0 0 0 0x\n", ":4: not a number in its range: \"0x\"" },
		{ HEAD "cpuid 2 0 0 0 1z\n", ":4: not a number in its range: \"1z\"" },
		{ HEAD "cpuid 2 0 0 0 99999999999999999999999\n", ":4: not a number in its range" },
		{ HEAD "cpuid x 0 0 0 0\n", ":4: not a leaf: \"x\"" },
		{ HEAD "cpuid 7. 0 0 0 0\n", ":4: not a leaf" },
		{ HEAD "cpuid 7 0 0 0 0\n", ":4: this leaf has sub-leaves" },
		{ HEAD "cpuid 2.0 0 0 0 0\n", ":4: this leaf has no sub-leaves" },
		{ HEAD "cpuid 7.0 0 0 0 0\ncpuid 0x7.0x0 0 0 0 0\n", ":5: line 4 has this leaf already" },
		{ HEAD "cpuid 1 0 0 0 0\n", ":4: line 3 has this leaf already" },
		{ HEAD "cpuid 99 0 0 0 0\ncpuid 99.1 0 0 0 0\n", ":5: line 4 has this leaf already" },
		{ HEAD "msr\n", ":4: the row ends where an MSR is expected" },
		{ HEAD "msr 0x480\n", ":4: the row ends where a value is expected" },
		{ HEAD "msr 0x480 0x10000000000000000\n", ":4: not a number in its range" },
		{ HEAD "msr 0x100000000 1\n", ":4: not a number in its range" },
		{ HEAD "msr 0x480 1\nmsr 0x10a 0\nmsr 1152 1\n", ":6: line 4 has this MSR already" },
		{ HEAD "msrs 1 3 2\n", ":4: the MSRs are not in ascending order: \"2\"" },
		{ HEAD "msrs 1-5 5\n", ":4: the MSRs are not in ascending order" },
		{ HEAD "msrs 5-1\n", ":4: not an MSR, or a range" },
		{ HEAD "msrs 1-\n", ":4: not an MSR, or a range" },
		{ HEAD "msrs 0-0xffffffff\n", ":4: too many MSRs" },
		{ HEAD "msrs 1\nmsrs 2\n", ":5: there is a row of MSRs already" },
		{ HEAD "tsc-khz\n", ":4: the row ends where a TSC frequency" },
		{ HEAD "tsc-khz fast\n", ":4: not a TSC frequency" },
		{ HEAD "tsc-khz 5-4\n", ":4: not a TSC frequency" },
		{ HEAD "tsc-khz 5 fixed\n", ":4: only \"scaling\" may follow" },
		{ HEAD "tsc-khz 5 scaling 6\n", ":4: the row has more than it needs" },
		{ HEAD "tsc-khz 5\ntsc-khz 5\n", ":5: there is a TSC frequency already" },
		{ HEAD "cpuid 2 0 0 0 \033[31m\n", ":4: a character that is not ASCII" },
		{ HEAD "cpuid 2 0 0 0 0\r\n", ":4: a character that is not ASCII" },
	};
	static const char nul[] = HEAD "\0cpuid 2 0 0 0 0\n";
	static char big[(1 << 20) + 100];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(file[0], wrong[i].text, strlen(wrong[i].text));
		ok(cpu("baseline", file[0]) == 2 && told(wrong[i].why) && !c.nr_said);
		if (!told(wrong[i].why))
			printf("# file %zu: expected \"%s\", got \"%.*s\"\n", i, wrong[i].why, (int)c.nr_told, c.told);
	}
	write_file(file[0], nul, sizeof(nul) - 1);
	ok(cpu("baseline", file[0]) == 2 && told("not a text file"));
	memset(big, '#', sizeof(big));
	write_file(file[0], big, sizeof(big));
	ok(cpu("baseline", file[0]) == 2 && told("longer than 1 MiB"));
	write_file(file[0], HEAD, strlen(HEAD));
	ok(cpu("baseline", file[0]) == 0 && said("cpuid 0x1 ") && told("have no VMX"));
	write_file(file[1], OTHER_MAKER, strlen(OTHER_MAKER));
	ok(cpu("baseline", file[0], file[1]) == 1 && told("their makers differ") && !c.nr_said);
	ok(cpu("compare", file[0], file[1]) == 2 && said("same maker"));
}

/* Files with too many rows. */
static void check_full(void)
{
	static char text[1 << 16];
	int n = sprintf(text, HEAD);

	for (int i = 0; i < DROSTE_POOL_CPUID; i++)
		n += sprintf(text + n, "cpuid 0x4.%d 0 0 0 0\n", 1000 - i);
	write_file(file[0], text, n);
	ok(cpu("baseline", file[0]) == 2 && told(":194: too many leaves"));
	n = sprintf(text, HEAD);
	for (int i = 0; i <= DROSTE_POOL_MSRS; i++)
		n += sprintf(text + n, "msr %d 0\n", 1000 - i);
	write_file(file[0], text, n);
	ok(cpu("baseline", file[0]) == 2 && told(":68: too many MSRs"));
}

static int contradictions(const char *rows)
{
	static struct pool_file f;
	static char text[4096];
	int n = snprintf(text, sizeof(text), HEAD "%s", rows);

	return pool_file_parse(&f, "test", text, n) ? -2 : pool_file_contradicts(&f);
}

static void check_contradictions(void)
{
	ok(contradictions("") == 0);
	ok(contradictions("cpuid 0x7.0 0 0x20 0 0\n") == -1);	/* AVX2 without AVX */
	ok(contradictions("cpuid 0x15 1 1 1 0\ntsc-khz 1000\n") == -1);	/* above the highest leaf */
	ok(contradictions("cpuid 0x6 4 0 0 0\n") == 0);
	ok(contradictions("cpuid 0xd.0 7 832 832 0\n") == -1);	/* components without XSAVE */
	ok(contradictions("msr 0x48b 0xff00000000\n") == -1);	/* VMX capabilities without VMX */
	ok(contradictions("cpuid 0x99 1 0 0 0\n") == -1);	/* no leaf of a pool */
}

/* --- the device --- */

/* Lets the stub be a host. */
static void be_host(const char *dump)
{
	static struct pool_file f;
	char name[96];

	ok(!pool_file_read(&f, dump));
	snprintf(name, sizeof(name), "%s/host", work);
	write_file(name, &f.p, sizeof(f.p));
	setenv("STUB_POOL", name, 1);
}

static void check_device(void)
{
	char name[96];

	be_host(DUMPS "haswell.cpu");
	ok(cpu("dump", "--host", "--device", "/dev/null") == 0 && said("\ncpuid 0x7.0       0x00000000 0x000027ab"));
	write_file(file[0], c.said, c.nr_said);
	ok(cpu("compare", file[0], DUMPS "haswell.cpu") == 0);
	ok(cpu("pool", DUMPS "haswell.cpu", "--device", "/dev/null") == 0 && told("stub: a pool of ") && !told("drostectl"));
	ok(cpu("pool", "none", "--device", "/dev/null") == 0 && told("stub: a pool of 0 leaves"));
	setenv("STUB_REFUSES", "6", 1);
	ok(cpu("pool", DUMPS "skylake_x.cpu", "--device", "/dev/null") == 1);
	ok(told("this host cannot keep " DUMPS "skylake_x.cpu, because it lacks:\n"));
	ok(told("  AVX512F (CPUID 0x7.0:EBX bit 16)\n") && told("Process posted interrupts"));
	setenv("STUB_REFUSES", "1", 1);
	ok(cpu("pool", DUMPS "haswell.cpu", "--device", "/dev/null") == 1 && told("Operation not permitted; use sudo"));
	unsetenv("STUB_REFUSES");
	/* A file that contradicts itself does not get to the device. */
	write_file(file[0], CONTRADICTS, strlen(CONTRADICTS));
	ok(cpu("pool", file[0], "--device", "/dev/null") == 2 && !told("stub:"));
	ok(told(":4: AVX2 (CPUID 0x7.0:EBX bit 5) needs AVX (CPUID 0x1:ECX bit 28)"));
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "run", "--kernel", kernel, "--cpu", file[0], NULL }) == 2 && told(":4: AVX2 "));
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "run", "--kernel", kernel, "--cpu", "/nonexistent", NULL }) == 2);
	ok(cpu("pool", "--device", "/dev/null") == 2 && told("needs a file, or the word"));
	snprintf(name, sizeof(name), "%s/host", work);
	unlink(name);
	ok(cpu("dump", "--host", "--device", "/dev/null") == 1 && told("the device is not Droste's"));
	ok(cpu("pool", DUMPS "haswell.cpu", "--device", "/dev/null") == 1 && told("the device is not Droste's"));
}

static void check_names(void)
{
	bool unique = true;

	for (unsigned int i = 0; i < nr_cpubits; i++) {
		const struct cpubit *b = &cpubits[i];

		if (cpubit_find(b->leaf, b->subleaf, b->reg, b->bit) != b || pool_leaf_indexed(b->leaf) < 0)
			unique = false;
		for (unsigned int j = 0; j < i; j++)
			if (!strcmp(cpubits[j].name, b->name))
				unique = false;
	}
	ok(unique);
}

static void check_words(void)
{
	ok(cpu("--help") == 0 && said("Usage: drostectl cpu dump"));
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "cpu", NULL }) == 2 && told("say what to do"));
	ok(cpu("dumps") == 2 && told("unknown word \"dumps\""));
	ok(cpu("dump", "x") == 2 && told("takes no files"));
	ok(cpu("baseline") == 2 && told("needs a file"));
	ok(cpu("--what") == 2);
	ok(cpu("dump", "--device", "/nonexistent") == 1 && told("cannot open"));
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	for (int i = 0; i < 2; i++)
		snprintf(file[i], sizeof(file[i]), "%s/file%d", work, i);
	check_baseline();
	check_compare();
	check_usable();
	check_wrong();
	check_full();
	check_contradictions();
	check_device();
	check_names();
	check_words();
	unlink(file[0]);
	unlink(file[1]);
	spawn_end();
	return tap_done();
}
