// SPDX-License-Identifier: GPL-2.0
/* Gives a machine its devices, runs it, and reports how the run ended. */
#include "machine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "layout.h"
#include "profile.h"
#include "say.h"
#include "stats.h"
#include "term.h"
#include "vcpu.h"

/* SIGUSR1 saves or moves the guest, if it has somewhere to go. */
static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, 0 };
static const int job[] = { SIGTSTP, SIGCONT, 0 };

/* Those of some signals that are not ignored. */
static void signal_set(sigset_t *set, const int *signals)
{
	struct sigaction old;

	sigemptyset(set);
	for (; *signals; signals++)
		if (!sigaction(*signals, NULL, &old) && old.sa_handler != SIG_IGN)
			sigaddset(set, *signals);
}

static int signal_file(const int *signals)
{
	sigset_t set;

	signal_set(&set, signals);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void block(const int *signals)
{
	sigset_t set;

	signal_set(&set, signals);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/*
 * The signals that end or stop the run are read from signalfds. They are blocked
 * before any thread starts, so that no vCPU thread receives one, but not before
 * the run: until then they do what they always do. A signal that is ignored, as
 * by nohup(1), stays ignored.
 */
static int open_signals(struct machine *m, int *signal_fd, int *job_fd)
{
	m->dies_of_sigpipe = signal(SIGPIPE, SIG_IGN) != SIG_IGN;
	/* A file that gets too large for RLIMIT_FSIZE is an error as any other one, and does not end the guest. */
	signal(SIGXFSZ, SIG_IGN);
	*signal_fd = signal_file(ends);
	*job_fd = signal_file(job);
	if (*signal_fd >= 0 && *job_fd >= 0)
		return 0;
	say("cannot create a signalfd: %s", strerror(errno));
	return -1;
}

int machine_devices(struct machine *m)
{
	struct ioport_dev rtc = rtc_dev(&m->rtc, PORT_RTC);
	int signal_fd, job_fd;

	if (open_signals(m, &signal_fd, &job_fd))
		return -1;
	ioport_init(&m->bus, m->vm.trace);
	rtc_init(&m->rtc, rtc_now);
	ioport_add(&m->bus, &rtc);
	power_add(&m->power, &m->vm);
	if (profile_has_hpet(m->vm.profile)) {
		hpet_init(&m->hpet, hpet_now);
		m->vm.hpet = &m->hpet;
	}
	return console_init(&m->console, &m->vm, signal_fd, job_fd);
}

/* Reports how the run ended. Returns the exit status. */
static int report(struct machine *m)
{
	int lost = m->console.error;
	struct vm *vm = &m->vm;

	/* A pipe without a reader ends this program as it ends any filter, unless the guest lives on: that must be told. */
	if (lost == EPIPE && m->dies_of_sigpipe && vm->end != RUN_MOVED) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	if (!m->quiet || vm->end != RUN_POWEROFF)
		say("%s", vm->end_text);
	for (char *next = vm->end_regs, *line; (line = strsep(&next, "\n"));)
		if (*line)
			say_more("%s", line);
	/* A guest that resets after its panic does not print the panic's last line. */
	if (m->console.hints && m->console.rootless.found &&
	    !m->console.rootless.told)
		rootless_hint();
	/* The guest ended first, and the rest of its output was lost. */
	if (lost && vm->end != RUN_OUTPUT_LOST)
		say(CONSOLE_LOST, strerror(lost));
	if (m->stats)
		stats_print(vm);
	if (lost && vm->end == RUN_POWEROFF)
		return RUN_OUTPUT_LOST;
	return outcome_status(vm->end, vm->end_value);
}

int machine_run(struct machine *m)
{
	struct vm *vm = &m->vm;
	sigset_t stop;
	bool tty;

	block(ends);
	block(job);
	tty = term_raw();
	if (tty && !m->quiet)
		say("Ctrl-A x ends the guest");
	if (vcpus_start(vm))
		vm_end(vm, RUN_HOST_ERROR, 0, NULL, "not all CPUs could start");
	else if (mover_start(&m->mover))
		vm_end(vm, RUN_HOST_ERROR, 0, NULL, "nothing could save or move the guest");
	console_loop(&m->console, tty);
	/* Ctrl-C and Ctrl-Z must work: the rest of the output may wait for its reader. */
	term_restore();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	vcpus_join(vm);
	mover_stop(&m->mover);
	console_flush(&m->console);
	return report(m);
}

void machine_free(struct machine *m)
{
	vm_destroy(&m->vm);
	mem_free(&m->mem);
	free(m);
}
