// SPDX-License-Identifier: GPL-2.0
/* Checks of drostectl diff with files. */
#include <sys/stat.h>

#include "spawn.h"
#include "tap.h"

static char a[64], b[64];

static void save(char *path, const char *name, const char *json)
{
	snprintf(path, 64, "%s/%s", work, name);
	write_file(path, json, strlen(json));
}

static bool prints(char *const argv[], const char *want)
{
	static struct child c;

	if (run_to_end(&c, "", TO_PIPE, argv))
		return false;
	if (!strcmp(c.said, want))
		return true;
	printf("# %s\n", c.said);
	return false;
}

static bool fails(char *const argv[], const char *want)
{
	static struct child c;

	return run_to_end(&c, "", TO_PIPE, argv) == 2 && strstr(c.told, want);
}

#define DIFF(...)	((char *[]){ stub, "diff", __VA_ARGS__, NULL })
#define F(name, value)	"\"" #name "\": \"" #value "\""

int main(int argc, char **argv)
{
	static struct child c;

	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	save(a, "a.json", "{\"vmcs\": \"12\", \"fields\": {" F(GUEST_RIP, 0x10) "," F(GUEST_RSP, 0x1) ","
	     F(CPU_BASED_VM_EXEC_CONTROL, 0x84) "," F(EXCEPTION_BITMAP, 1) "}}");
	save(b, "b.json", "{\"fields\": {" F(GUEST_RIP, 0x20) "," F(GUEST_RSP, 0x1) ","
	     F(CPU_BASED_VM_EXEC_CONTROL, 0x2000084) "," F(GUEST_CR3, 1) "," F(GUEST_RFLAGS, 2) "}}");

	run_to_end(&c, "", TO_PIPE, DIFF(a, b));
	ok(strstr(c.said, "GUEST_RIP                                        0x10                 0x20\n"));
	ok(strstr(c.said, "    25  Use I/O bitmaps (bit 25)                       0 -> 1\n"));
	ok(!strstr(c.said, "GUEST_RSP"));
	ok(strstr(c.said, "1 fields are in "));
	ok(strstr(c.said, "a.json only.\n2 fields are in "));
	run_to_end(&c, "", TO_PIPE, DIFF(a, b, "--all"));
	ok(strstr(c.said, "GUEST_RSP"));
	run_to_end(&c, "", TO_PIPE, DIFF("--controls", a, b));
	ok(strstr(c.said, "CPU_BASED_VM_EXEC_CONTROL") && !strstr(c.said, "GUEST_RIP"));
	ok(prints(DIFF(a, b, "--json"), "{\n  \"GUEST_RIP\": {\n    \"a\": \"0x10\",\n    \"b\": \"0x20\"\n  },\n"
		  "  \"CPU_BASED_VM_EXEC_CONTROL\": {\n    \"a\": \"0x84\",\n    \"b\": \"0x2000084\"\n  }\n}\n"));
	run_to_end(&c, "", TO_PIPE, DIFF(a, a));
	ok(!strstr(c.said, "GUEST_") && !strstr(c.said, "only"));
	ok(fails(DIFF(a, "c.json"), "no VMCS is named \"c.json\""));
	ok(fails(DIFF(a), "name two VMCSs"));
	unlink(a);
	unlink(b);
	spawn_end();
	return tap_done();
}
