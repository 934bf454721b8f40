// SPDX-License-Identifier: GPL-2.0
/* drostectl: finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "break.h"
#include "cpu.h"
#include "diff.h"
#include "ept.h"
#include "info.h"
#include "inspect.h"
#include "outcome.h"
#include "profile.h"
#include "receive.h"
#include "regs.h"
#include "run.h"
#include "say.h"
#include "top.h"
#include "trace.h"
#include "version.h"
#include "whoami.h"
#include "why.h"

static int cmd_help(int argc, char **argv);
static void print_commands(void);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);	/* argv[0] is the command's name */
	void (*help)(void);			/* prints the help text */
	const char *purpose;
} commands[] = {
	{ "run", cmd_run, run_help, "boot a Linux kernel in a virtual machine" },
	{ "receive", cmd_receive, receive_help, "wait for a virtual machine that moves here, and run it" },
	{ "info", cmd_info, info_help,
	  "compare the processor's features with those offered to a guest" },
	{ "cpu", cmd_cpu, cpu_help, "find the processor that guests of several hosts can have" },
	{ "profile", cmd_profile, profile_help, "describe a real machine, for a guest that shall look like it" },
	{ "audit", cmd_audit, audit_help,
	  "name the rules of a VM entry that a VMCS in a file breaks" },
	{ "ps", cmd_ps, ps_help, "list the virtual machines of Droste on this host" },
	{ "top", cmd_top, top_help, "show what a virtual machine exits for, and who answers" },
	{ "trace", cmd_trace, trace_help, "record the events of virtual machines while a command runs" },
	{ "regs", cmd_regs, regs_help, "print the registers of L1 or L2" },
	{ "vmcs", cmd_vmcs, vmcs_help, "print a VMCS of a running virtual machine" },
	{ "diff", cmd_diff, diff_help, "compare two VMCSs, and say whose each control bit is" },
	{ "ept", cmd_ept, ept_help, "follow an address through all extended page tables" },
	{ "why", cmd_why, why_help, "tell why the last VM entry of L1 failed" },
	{ "break", cmd_break, break_help, "let a vCPU stand at a chosen exit" },
	{ "whoami", cmd_whoami, whoami_help,
	  "print one line about this level: kernel, hypervisor, VMX" },
	{ "help", cmd_help, print_commands, "print this text, or the help of a command" },
};

static const size_t nr_commands = sizeof(commands) / sizeof(commands[0]);

static void print_commands(void)
{
	printf("Usage: drostectl COMMAND [OPTION]...\n"
	       "Control virtual machines on Droste, or on any device that implements the KVM API.\n"
	       "\n");
	for (size_t i = 0; i < nr_commands; i++)
		printf("  %-7s %s\n", commands[i].name, commands[i].purpose);
	printf("\nSee \"drostectl help COMMAND\" for a command's options, and drostectl(8).\n"
	       "\"drostectl --version\" prints the version.\n");
}

/* Returns NULL after an error message if there is no such command. */
static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < nr_commands; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	say("unknown command \"%s\"; see \"drostectl --help\"", name);
	return NULL;
}

static bool wants_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* Returns whether at most @most words were given, else prints an error message. */
static bool no_more_than(int most, int argc, char **argv)
{
	if (argc <= most)
		return true;
	say("unexpected argument \"%s\"; see \"drostectl --help\"", argv[most]);
	return false;
}

static int cmd_help(int argc, char **argv)
{
	const struct command *command;

	if (!no_more_than(2, argc, argv))
		return STATUS_USAGE;
	if (argc < 2 || wants_help(argv[1])) {
		print_commands();
		return 0;
	}
	command = find_command(argv[1]);
	if (!command)
		return STATUS_USAGE;
	command->help();
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
	int err = fflush(stdout) ? errno : 0;

	if (!err && !ferror(stdout))
		return status;
	/* The error of an earlier write is not known any longer. */
	say("writing to standard output failed%s%s", err ? ": " : "",
	    err ? strerror(err) : "");
	return status ? status : STATUS_FAILED;
}

int main(int argc, char **argv)
{
	const struct command *command;
	static char title[32];

	if (keep_standard_files())
		return STATUS_USAGE;
	if (argc < 2) {
		say("no command given; see \"drostectl --help\"");
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--version")) {
		if (!no_more_than(2, argc, argv))
			return STATUS_USAGE;
		printf("drostectl %s\n", drostectl_version);
		return finish(0);
	}
	if (wants_help(argv[1])) {
		if (!no_more_than(2, argc, argv))
			return STATUS_USAGE;
		print_commands();
		return finish(0);
	}
	command = find_command(argv[1]);
	if (!command)
		return STATUS_USAGE;
	/* getopt_long() starts its messages with argv[0]. */
	snprintf(title, sizeof(title), "drostectl %s", command->name);
	argv[1] = title;
	return finish(command->run(argc - 1, argv + 1));
}
