// SPDX-License-Identifier: GPL-2.0
/*
 * Tests IA32_DEBUGCTL.BTF of the emulated processor: PTRACE_SINGLEBLOCK, which Linux implements with BTF and
 * EFLAGS.TF, stops a program after each branch that it takes and nowhere else (SDM 3B 18.4.3).
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SINGLEBLOCK
#define PTRACE_SINGLEBLOCK 33
#endif

/* Branches taken and not taken, a branch to the next instruction, and a repeated instruction, which is no branch. */
asm(
	".pushsection .text\n"
	"walk:	int3\n"
	"	nop\n"
	"	jmp stop_0\n"
	"	nop\n"
	"stop_0:	test %esp, %esp\n"
	"	jz stop_0\n"
	"	mov $3, %ecx\n"
	"	lea -128(%rsp), %rdi\n"
	"	rep stosb\n"
	"	jnz stop_1\n"
	"stop_1:	call stop_2\n"
	"stop_3:	nop\n"
	"	jmp stop_4\n"
	"stop_2:	nop\n"
	"	ret\n"
	"stop_4:	nop\n"
	"	int3\n"
	".popsection\n");

extern char walk[], stop_0[], stop_1[], stop_2[], stop_3[], stop_4[];
static char *const stops[] = { stop_0, stop_1, stop_2, stop_3, stop_4 };

static char *rip_of(pid_t child)
{
	return (char *)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rip), 0);
}

int main(void)
{
	const unsigned int count = sizeof(stops) / sizeof(stops[0]);
	pid_t child = fork();
	int status;

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		asm volatile("call walk" ::: "rcx", "rdi", "memory", "cc");
		_exit(1);
	}
	waitpid(child, &status, 0);
	for (unsigned int i = 0; i < count; i++) {
		if (ptrace(PTRACE_SINGLEBLOCK, child, 0, 0)) {
			perror("PTRACE_SINGLEBLOCK");
			return 1;
		}
		waitpid(child, &status, 0);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
			printf("not ok: status %#x at stop %u\n", status, i);
			return 1;
		}
		if (rip_of(child) != stops[i]) {
			printf("not ok: stop %u is at walk+%td, not walk+%td\n", i, rip_of(child) - walk, stops[i] - walk);
			kill(child, SIGKILL);
			return 1;
		}
	}
	kill(child, SIGKILL);
	printf("ok: %u branches\n", count);
	return 0;
}
