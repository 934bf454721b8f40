// SPDX-License-Identifier: GPL-2.0
/* Checks the command line: commands, options, sizes, and the sentences of refusals. */
#include <sys/sysinfo.h>

#include "host.h"
#include "spawn.h"
#include "tap.h"

static struct child c;

/* Runs drostectl-stub with the given arguments. Returns the exit status. */
#define drostectl(guest, ...) \
	run_to_end(&c, guest, TO_PIPE, (char *[]){ stub, __VA_ARGS__, NULL })

/* Boots the small kernel with more options. */
#define boot(guest, ...) \
	drostectl(guest, "run", "--device", "/dev/null", "--kernel", kernel, __VA_ARGS__)

static bool said(const char *text)
{
	return memmem(c.said, c.nr_said, text, strlen(text));
}

static bool told(const char *text)
{
	return memmem(c.told, c.nr_told, text, strlen(text));
}

static void check_help(void)
{
	static char *const commands[] = { "run", "info", "audit", "whoami" };

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *name = commands[i], start_of_help[64];

		snprintf(start_of_help, sizeof(start_of_help), "Usage: drostectl %s", name);
		ok(drostectl("", name, "--help") == 0 && said(start_of_help));
		ok(drostectl("", name, "-h") == 0 && said(start_of_help));
		ok(drostectl("", "help", name) == 0 && said(start_of_help));
	}
	ok(drostectl("", "help") == 0 && said("Usage: drostectl COMMAND"));
	ok(drostectl("", "--help") == 0 && said("Usage: drostectl COMMAND"));
	ok(drostectl("", "-h") == 0 && said("Usage: drostectl COMMAND"));
	ok(drostectl("", "help", "--help") == 0 && said("Usage: drostectl COMMAND"));
	ok(drostectl("", "help", "nothing") == 2 && told("unknown command \"nothing\""));
	ok(drostectl("", "help", "run", "info") == 2 && told("unexpected argument \"info\""));
	ok(!c.nr_said);
	ok(drostectl("", "nothing") == 2 && told("unknown command \"nothing\""));
	ok(drostectl("", "whoami", "--nothing") == 2);
	ok(drostectl("", "whoami", "here", "there") == 2);
	ok(drostectl("", "whoami", "L7") == 0 && said("L7: Linux"));
	ok(run_to_end(&c, "", TO_FULL, (char *[]){ stub, "help", NULL }) == 1 &&
	   told("No space left on device"));
	ok(run_to_end(&c, "", TO_NOTHING, (char *[]){ stub, "help", NULL }) == 2);
}

static void check_version(void)
{
	ok(drostectl("", "--version") == 0 && said("drostectl ") && c.nr_said > 12);
	ok(drostectl("", "version") == 2);
	ok(drostectl("", "--version", "x") == 2 && told("unexpected argument \"x\""));
	ok(drostectl("", "--help", "x") == 2 && told("unexpected argument \"x\""));
	ok(!c.nr_said);
}

static void check_sizes(void)
{
	char *const good[] = { "16", "16M", "16m", "16MiB", "16384K", "1G", "1GiB" };
	char *const bad[] = { "", "M", "16X", "16MM", "-1", "1.5G", "1025K", "1",
			      "99999999999999999999", "17179869184G", "1048577", "2T" };
	char *const bad_ports[] = { "", ",", "0x80,", "-1", "0x10000", "0x86-0x84", "0x80-", "port", "0x80 0x81", "1-2-3", "0x",
				    "99999999999999999999", " 1" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(boot("brief", "--memory", good[i]) == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(boot("brief", "--memory", bad[i]) == 2 && told("--memory expects"));
	ok(boot("brief", "--cpus", "0") == 2 && told("--cpus expects a number from 1 to"));
	ok(boot("brief", "--cpus", "65") == 2 && told("use --cpus 64 or fewer"));
	ok(told("see \"drostectl run --help\""));
	for (size_t i = 0; i < sizeof(bad_ports) / sizeof(bad_ports[0]); i++)
		ok(boot("brief", "--pass-ports", bad_ports[i]) == 2 && told("--pass-ports needs numbers up to 0xffff"));
	/* The device of the test is not Droste's. */
	ok(boot("brief", "--pass-ports", "0x80,132-0x86,0xffff") == 1 && told("cannot pass ports: "));
	ok(boot("brief", "--cpus", "64") == 0);
}

/* The stub's processor has exits of MOV to CR3 and RDTSC only. */
static void check_forced(void)
{
	char *const bad[] = { "", "cr3", "rdtsc,", ",rdtsc", "rdtsc,all", "rdtscp", "RDTSC" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(boot("brief", "--force-exits", bad[i]) == 2 && told("--force-exits expects"));
	ok(boot("brief", "--force-exits", "all") == 0 && told("stub: mask 0x9"));
	ok(boot("brief", "--force-exits", "rdtsc") == 0 && told("stub: mask 0x8"));
	ok(boot("brief", "--force-exits", "rdtsc,cr3-load") == 0 && told("stub: mask 0x9"));
	ok(boot("brief", "--force-exits", "rdtsc,pause") == 1 && told("no exits for \"pause\""));
}

/* The kernel needs 6 MiB. */
static void check_too_small(void)
{
	char initrd[64];

	ok(boot("brief", "--memory", "5") == 2 && told("use --memory 6 or more"));
	ok(told("needs 4 MiB of memory at 2 MiB"));
	ok(boot("brief", "--memory", "6") == 0);

	snprintf(initrd, sizeof(initrd), "%s/initrd", work);
	write_file(initrd, "", 0);
	ok(!truncate(initrd, 10 * MIB - 1));
	ok(boot("brief", "--memory", "15", "--initrd", initrd) == 2);
	ok(told("use --memory 16 or more") && told("10 MiB"));
	ok(boot("brief", "--memory", "16", "--initrd", initrd) == 0);
	unlink(initrd);
}

static void check_warnings(void)
{
	struct sysinfo si;

	sysinfo(&si);
	ok(boot("brief", "--memory", "16") == 0 && !told("warning"));
	if (sysconf(_SC_NPROCESSORS_ONLN) < 64)
		ok(boot("brief", "--cpus", "64") == 0 &&
		   told("warning: 64 processors"));
	if (si.totalram * si.mem_unit < 1ULL << 39)
		ok(boot("brief", "--memory", "512G") == 0 &&
		   told("warning: 524288 MiB"));
}

static void check_fast(void)
{
	ok(boot("cmdline", "--append", "one two") == 0);
	ok(said("[console=ttyS0 one two]"));
	ok(boot("cmdline", "--memory", "16") == 0 && said("[console=ttyS0]"));
	/* The user's words come last, so that they win. */
	ok(boot("cmdline", "--fast", "--append", "one two") == 0);
	ok(said("[console=ttyS0 quiet ") && said(" no_timer_check ") && said(" one two]"));
}

static void check_device(void)
{
	ok(drostectl("", "run", "--device", "/nonexistent", "--kernel", kernel) == 1);
	ok(told("cannot open /nonexistent: No such file or directory") &&
	   told("is the module loaded?"));
}

static bool advises(mode_t mode, gid_t gid, const char *groups, const char *text)
{
	const struct stat st = { .st_mode = S_IFCHR | mode, .st_gid = gid };
	char advice[256];

	host_access_advice(&st, groups, advice, sizeof(advice));
	return strstr(advice, text);
}

/* Root may open everything, so the advice is checked without a device. */
static void check_access_advice(void)
{
	static const char text[] = "root:x:0:\nbad\nkvm:x:108:alice\nlast:x:109:";
	char groups[64];

	snprintf(groups, sizeof(groups), "%s/group", work);
	write_file(groups, text, sizeof(text) - 1);
	ok(advises(0660, 108, groups, "the group kvm may open it: run \"sudo usermod -aG kvm $USER\""));
	ok(advises(0666, 109, groups, "the group last may"));
	ok(advises(0660, 110, groups, "the group 110, which has no name"));
	ok(advises(0660, 110, "/nonexistent", "the group 110, which has no name"));
	ok(advises(0660, 0, groups, "only root may open it (mode 0660)"));
	ok(advises(0600, 108, groups, "only root may open it (mode 0600)"));
	unlink(groups);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	check_help();
	check_version();
	check_sizes();
	check_forced();
	check_too_small();
	check_warnings();
	check_fast();
	check_device();
	check_access_advice();
	spawn_end();
	return tap_done();
}
