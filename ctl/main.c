// SPDX-License-Identifier: GPL-2.0
/* drostectl: finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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
 * Returns -1 after an error message if standard output was closed.
 */
static int keep_standard_files(void)
{
	bool closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	if (closed) {
		say("standard output is closed; use \">/dev/null\" to discard it");
		return -1;
	}
	return 0;
}

/* Turns success into a failure if the output of a command was lost. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	say("writing to standard output failed: %s", strerror(errno));
	return status ? status : STATUS_FAILED;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (keep_standard_files())
		return STATUS_USAGE;
	if (name && (!strcmp(name, "--help") || !strcmp(name, "-h")))
		name = "help";
	for (size_t i = 0; name && i < nr_commands; i++) {
		static char title[32];

		if (strcmp(name, commands[i].name))
			continue;
		/* getopt_long() starts its messages with argv[0]. */
		snprintf(title, sizeof(title), "drostectl %s", name);
		argv[1] = title;
		return finish(commands[i].run(argc - 1, argv + 1));
	}
	if (name)
		say("unknown command \"%s\"; see \"drostectl --help\"",
		    name);
	else
		say("no command given; see \"drostectl --help\"");
	return STATUS_USAGE;
}
