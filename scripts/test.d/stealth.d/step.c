// SPDX-License-Identifier: GPL-2.0
/*
 * The probe's part "step": where the traps of single-stepping and of the debug registers come, over instructions at which a
 * guest exits. A process of its own is traced; what its debug registers tell is the kernel's copy of DR6.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define SINGLEBLOCK	33	/* PTRACE_SINGLEBLOCK */
#define DR(n)		offsetof(struct user, u_debugreg[n])

static const struct {
	const char *name;
	const char *bytes;
	int len;
	int next;	/* offset of the instruction behind the one that exits */
} codes[] = {
#define C(name, before, bytes)	{ name, before bytes "\x90\x90\x90\xcc", sizeof(before bytes) + 3, sizeof(before bytes) - 1 }
	C("nop", "", "\x90"),
	C("cpuid", "\x31\xc0", "\x0f\xa2"),
	C("rdtsc", "", "\x0f\x31"),
	C("rdtscp", "", "\x0f\x01\xf9"),
	C("xgetbv", "\x31\xc9", "\x0f\x01\xd0"),
	C("out", "", "\xe6\x80"),
	C("in", "", "\xe4\x80"),
	C("rdrand", "", "\x0f\xc7\xf0"),
	C("pause", "", "\xf3\x90"),
	C("mov-ss-cpuid", "\x31\xc0\x8c\xd1\x8e\xd1", "\x0f\xa2"),
	C("popf-cpuid", "\x31\xc0\x9c\x9d", "\x0f\xa2"),
	C("rep-movsb", "\x48\x89\xfe\xb9\x04\x00\x00\x00", "\xf3\xa4"),
#undef C
};

static uint8_t *page, *data;
static int status;

static long rip(pid_t child)
{
	return ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, regs.rip), 0) - (long)page;
}

/* Starts a child that will execute the code, and stops it there. */
static pid_t start(size_t i)
{
	pid_t child;

	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	memset(page, 0xcc, 4096);
	memcpy(page, codes[i].bytes, codes[i].len);
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	child = fork();
	if (!child) {
		on_cpu(0);
		iopl(3);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		asm volatile("jmp *%0" : : "r"(page), "D"(data));
	}
	waitpid(child, &status, 0);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

/* Steps, or goes to the next branch, and lists where the traps come, with BS and B0 of DR6. */
static void say_steps(size_t i, const char *kind, int request, int dr7, long dr0)
{
	pid_t child = start(i);
	char name[64], list[512] = "";

	/* By its state the child is in raise(): the jump to the code is made for it. */
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rip), page);
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rdi), data);
	/* Not the system call that it is in again. */
	ptrace(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), -1);
	ptrace(PTRACE_POKEUSER, child, DR(0), dr0);
	ptrace(PTRACE_POKEUSER, child, DR(7), dr7);
	for (int n = 0; n < 16; n++) {
		long dr6;

		if (ptrace(request, child, 0, 0) || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			break;
		dr6 = ptrace(PTRACE_PEEKUSER, child, DR(6), 0);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), " +%ld/%s%s", rip(child), dr6 & 0x4000 ? "s" : "", dr6 & 1 ? "0" : "");
		ptrace(PTRACE_POKEUSER, child, DR(6), 0);
		if (WSTOPSIG(status) != SIGTRAP || rip(child) >= codes[i].len || rip(child) < 0) {
			snprintf(list + strlen(list), sizeof(list) - strlen(list), " signal %d", WSTOPSIG(status));
			break;
		}
	}
	end(child);
	snprintf(name, sizeof(name), "step.%s.%s", kind, codes[i].name);
	say(name, "%s", list);
}

void probe_step(void)
{
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		say_steps(i, "instructions", PTRACE_SINGLESTEP, 0, 0);
		/* An instruction breakpoint on what follows: one trap with both. VMAware's TRAP. */
		say_steps(i, "and-breakpoint", PTRACE_SINGLESTEP, 1, (long)page + codes[i].next);
		say_steps(i, "blocks", SINGLEBLOCK, 0, 0);
		/* Writes of the fourth byte, as REP MOVSB makes them. */
		say_steps(i, "watch", PTRACE_CONT, 0x10001, (long)data + 3);
	}
}
