// SPDX-License-Identifier: GPL-2.0
/* drostectl: finds the command and runs it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "info.h"
#include "outcome.h"
#include "run.h"
#include "say.h"
#include "whoami.h"

static int cmd_help(int argc, char **argv);

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);	/* argv[0] is the command's name */
	const char *help;
} commands[] = {
	{ "run",  cmd_run,  "boot a Linux kernel in a virtual machine" },
	{ "info", cmd_info, "compare the processor's features with those offered to a guest" },
	{ "whoami", cmd_whoami, "print one line about this level: kernel, hypervisor, VMX" },
	{ "help", cmd_help, "this text" },
};

static const size_t nr_commands = sizeof(commands) / sizeof(commands[0]);

static int cmd_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("Usage: drostectl COMMAND [OPTION]...\n"
	       "Control virtual machines on Droste, or on any device that implements the KVM API.\n"
	       "\n");
	for (size_t i = 0; i < nr_commands; i++)
		printf("  %-6s %s\n", commands[i].name, commands[i].help);
	printf("\nSee \"drostectl COMMAND --help\" for a command's options, and drostectl(8).\n");
	return 0;
}

/*
 * Opens descriptors 0 to 2 if they are closed: otherwise a device could get one
 * of them, and console output would go there. open() takes the lowest free one.
 */
static void keep_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	keep_standard_files();
	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h")))
		name = "help";
	for (size_t i = 0; name && i < nr_commands; i++) {
		static char title[32];

		if (strcmp(name, commands[i].name))
			continue;
		/* getopt_long() starts its messages with argv[0]. */
		snprintf(title, sizeof(title), "drostectl %s", name);
		argv[1] = title;
		return commands[i].run(argc - 1, argv + 1);
	}
	if (name)
		say("unknown command \"%s\"; see \"drostectl --help\"",
		    name);
	else
		say("no command given; see \"drostectl --help\"");
	return STATUS_USAGE;
}
