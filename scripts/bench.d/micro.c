// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the small guest of the benchmark on a KVM API, at whatever level this program runs. The device is that of the
 * selftests, $DROSTE_DEVICE. Prints a line at the begin and the end of each row.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <linux/droste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "vm.h"
#include "micro.h"

#define ROW_LIMIT	60	/* seconds after which a row counts as failed */
#define NOBODY		(~0u)

/* What a child, which runs a VM, and its parent share: the row that is being measured. */
static volatile u32 *current;
static const char *level_name = "l1";
static struct kvm_coalesced_mmio_ring *ring;

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

/* Prints a line, and waits until the terminal has sent it, so that its interrupts are not counted. */
static void say(const char *what, u32 row, const char *more)
{
	printf("bench: %s %s %s%s%s\n", what, level_name, rows[row].name, *more ? " " : "", more);
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

/* --- the VM --- */

static void *touchable(struct vm *vm, int slot, u64 gpa, bool touch)
{
	void *mem = mmap(NULL, TOUCHABLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	madvise(mem, TOUCHABLE, MADV_NOHUGEPAGE);
	if (touch)
		for (u64 i = 0; i < request.windows + 1; i++)
			memset((char *)mem + i * 32 * 4096, 1, 32 * 4096);
	vm_slot(vm, slot, 0, gpa, TOUCHABLE, mem);
	return mem;
}

static void event(struct vm *vm, u64 addr, u32 len, u32 flags)
{
	struct kvm_ioeventfd e = { .addr = addr, .len = len, .flags = flags, .fd = eventfd(0, EFD_NONBLOCK) };

	MUST(e.fd >= 0, "eventfd: %s", strerror(errno));
	DO(vm->fd, KVM_IOEVENTFD, &e);
}

static void coalesced(struct vm *vm, u64 addr, u32 size, bool port)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = addr, .size = size, .pio = port };

	DO(vm->fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

/* Fails on KVM, where all ports exit. */
static void pass(struct vm *vm, u32 port)
{
	struct droste_pass_ports ports = { .first = port, .count = 1, .on = 1 };

	if (ioctl(vm->fd, DROSTE_PASS_PORTS, &ports))
		MUST(errno == ENOTTY, "DROSTE_PASS_PORTS: %s", strerror(errno));
}

static void machine(struct vm *vm)
{
	int page = ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO);

	touchable(vm, 1, FRESH, false);
	touchable(vm, 2, BACKED, true);
	event(vm, PORT_EVENT, 1, KVM_IOEVENTFD_FLAG_PIO);
	event(vm, MMIO_EVENT, 4, 0);
	event(vm, MMIO_EVENT_ANY, 0, 0);
	coalesced(vm, PORT_COALESCED, 1, true);
	coalesced(vm, MMIO_COALESCED, 4096, false);
	pass(vm, PORT_PASSED);
	pass(vm, PORT_DELAY);
	MUST(page > 0, "coalesced MMIO");
	ring = (void *)((char *)vm->vcpu[0].run + page * 4096);
}

/* KVM_GET_SUPPORTED_CPUID does not tell of the TSC-deadline timer: a capability does. */
static void offer_deadline(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = supported_cpuid(vcpu->vm->dev);
	u32 nent = cpuid->nent;

	if (ioctl(vcpu->vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) <= 0)
		return;
	DO(vcpu->fd, KVM_GET_CPUID2, cpuid);
	MUST(cpuid->nent <= nent, "CPUID has grown");
	for (u32 i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 1)
			cpuid->entries[i].ecx |= BIT(24);
	DO(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void *second_main(void *arg)
{
	vcpu_run_to_call(arg, NULL);
	describe_exit(arg);
	ksft_abort(__FILE__, __LINE__, "vCPU 1 ended");
	return NULL;
}

/* Runs vCPU 0 to its end. I/O exits are entered again with nothing done, which is the least a VM's process can do. */
static void run(struct vcpu *vcpu)
{
	struct kvm_run *kvm_run = vcpu->run;

	for (;;) {
		u64 args[4], kind = vcpu_run_to_call(vcpu, args);

		if (kind == GCALL_NONE) {
			if (kvm_run->exit_reason != KVM_EXIT_IO && kvm_run->exit_reason != KVM_EXIT_MMIO) {
				describe_exit(vcpu);
				ksft_abort(__FILE__, __LINE__, "an exit that nothing asked for");
			}
			ring->first = ring->last;
			continue;
		}
		if (kind == GCALL_DONE)
			return;
		MUST(kind == GCALL_SYNC, "call %llu", (long long)kind);
		switch (args[0]) {
		case STAGE_ROW:
			*current = args[1];
			alarm(ROW_LIMIT);
			say("row", args[1], "");
			break;
		case STAGE_DONE: {
			char times[16];

			snprintf(times, sizeof(times), "%u", micro_times(&rows[args[1]]));
			say("done", args[1], times);
			break;
		}
		case STAGE_SKIP:
			say("skip", *current, (char *)vcpu->vm->mem + args[1]);
		}
	}
}

/* Runs a VM for the rows that are wanted, with one vCPU or two. Does not return. */
static void child(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t thread;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, micro_main);
	offer_deadline(vcpu);
	machine(&vm);
	if (request.two) {
		struct vcpu *second = vcpu_create(&vm, 1, micro_second);

		MUST(!pthread_create(&thread, NULL, second_main, second), "thread");
	}
	run(vcpu);
	*current = NOBODY;
	_exit(0);
}

/* Whether a row is left for a VM with one vCPU, or with two. */
static bool wanted(bool two)
{
	for (u32 i = 0; i < row_count; i++)
		if (request.wanted[i] && !!(rows[i].flags & ROW_TWO) == two)
			return true;
	return false;
}

/* Rows up to one that failed are done. The rest get a new VM. */
static int measure(bool two)
{
	int status, failed = 0;
	pid_t pid;
	char why[64];

	request.two = two;
	while (wanted(two)) {
		*current = NOBODY;
		pid = fork();
		if (!pid)
			child();
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return 1;
		if (!status)
			return failed;
		failed = 1;
		if (*current == NOBODY) {
			printf("bench: no VM at %s: status %#x\n", level_name, status);
			return 1;
		}
		snprintf(why, sizeof(why), WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "it takes too long"
			 : "wait status %#x", status);
		say("fail", *current, why);
		for (u32 i = 0; i <= *current; i++)
			if (!!(rows[i].flags & ROW_TWO) == two)
				request.wanted[i] = 0;
	}
	return failed;
}

/* --- the command line --- */

static const char usage[] =
	"Usage: micro [--level NAME:NUMBER] [--only GLOB,...] [--windows N] [--divide N] [--deadline TICKS]\n"
	"       micro --list\n"
	"Measures operations of a small guest between markers that the lab counts by.\n"
	"  --level     names the level in the output, and numbers it in the counts' tags\n"
	"  --only      the rows to measure; default all\n"
	"  --windows   how often to count each row\n"
	"  --divide    divides how often each count repeats its operation\n"
	"  --deadline  TSC ticks from setting a timer to its interrupt\n"
	"  --list      prints the rows: number, times, flags, name, title\n";

/* Marks the rows whose names match one of the comma-separated globs. */
static void choose(char *globs)
{
	for (char *glob = strtok(globs, ","); glob; glob = strtok(NULL, ","))
		for (u32 i = 0; i < row_count; i++)
			if (!fnmatch(glob, rows[i].name, 0))
				request.wanted[i] = 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "level", required_argument, NULL, 'l' }, { "only", required_argument, NULL, 'o' },
		{ "windows", required_argument, NULL, 'w' }, { "divide", required_argument, NULL, 'd' },
		{ "deadline", required_argument, NULL, 't' }, { "list", no_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' }, {},
	};
	char all[] = "*", *only = all, *colon;
	int option;

	request = (struct request) { .windows = 24, .divide = 1, .deadline = 50000 };
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'l':
			colon = strchr(optarg, ':');
			request.level = colon ? atoi(colon + 1) : 0;
			if (colon)
				*colon = 0;
			level_name = optarg;
			break;
		case 'o':
			only = optarg;
			break;
		case 'w':
			request.windows = atoi(optarg);
			break;
		case 'd':
			request.divide = atoi(optarg);
			break;
		case 't':
			request.deadline = strtoull(optarg, NULL, 0);
			break;
		case 'L':
			for (u32 i = 0; i < row_count; i++)
				printf("%u\t%u\t%u\t%s\t%s\n", i, rows[i].times, rows[i].flags, rows[i].name, rows[i].title);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (!request.windows || !request.divide || optind < argc || row_count > sizeof(request.wanted)) {
		fputs(usage, stderr);
		return 2;
	}
	choose(only);
	current = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return measure(false) | measure(true);
}
