// SPDX-License-Identifier: GPL-2.0
/* drostectl run: builds a machine, runs it and reports how the run ended. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acpi.h"
#include "args.h"
#include "cpuid.h"
#include "force.h"
#include "host.h"
#include "incoming.h"
#include "initramfs.h"
#include "linux.h"
#include "machine.h"
#include "outcome.h"
#include "pin.h"
#include "poolhost.h"
#include "poolrun.h"
#include "profilefile.h"
#include "profilerun.h"
#include "run.h"
#include "runopts.h"
#include "say.h"
#include "smbios.h"
#include "vcpu.h"
#include "vm.h"

#define MIB		(1024ULL * 1024)
#define MEMORY_MIN	2		/* MiB */
#define MEMORY_MAX	(1024UL * 1024)	/* MiB */

/* The options of the command line. */
struct options {
	struct run_options run;
	const char *kernel;
	const char *initrd;
	const char *append;
	const char *pass_ports;
	const struct pool_file *cpu;	/* the guest's processor, or NULL: all that the device offers */
	const struct profile_file *profile;	/* the machine that the guest shall look like, or NULL */
	unsigned long cpus;
	unsigned long memory;	/* MiB */
	uint64_t force;		/* from force_parse() */
	bool lock_vmx;
	bool fast;
	bool call_kvm;		/* CPUID says that the hypervisor is KVM */
	const char *restore;	/* a file with a saved machine, or NULL */
};

/* Words for the kernel that avoid work of a boot without use in this machine. */
#define FAST_WORDS							\
	"quiet tsc=reliable no_timer_check cryptomgr.notests "		\
	"mitigations=off init_on_alloc=0 pci=off io_delay=none "	\
	"8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace"

void run_help(void)
{
	printf("Usage: drostectl run --kernel FILE [OPTION]...\n"
	       "Boot a Linux kernel in a virtual machine with a serial console.\n"
	       "\n"
	       "  --kernel FILE      bzImage to boot\n"
	       "  --initrd FILE      initial RAM disk\n"
	       "  --initrd auto      one that gives a shell, made of this machine's static BusyBox\n"
	       "  --append TEXT      kernel command line, added to \"console=ttyS0\"\n"
	       "  --fast             add words that make the boot of a Debian kernel short\n"
	       "  --cpu POOL         a file of \"drostectl cpu\": the guest's processor, instead of all that the device offers\n"
	       "  --profile FILE     a file of \"drostectl profile\": the guest looks like that machine (root)\n"
	       "  --hypervisor NAME  how CPUID names the hypervisor: droste, or kvm for guests that use KVM's paravirtual\n"
	       "                     features (clock, x2APIC, end of interrupt by a store) under this name only (droste)\n"
	       "  --cpus N           virtual processors (1)\n"
	       "  --pin LIST         the CPU of this machine on which each of them runs, such as 2-3\n"
	       "  --memory SIZE      memory in MiB, or with a unit: 512M, 2G (512)\n"
	       "  --device PATH      device that implements the KVM API (/dev/droste)\n"
	       "  --pass-ports LIST  ports of this machine that the guest accesses, such as 0x80,0x84-0x86 (Droste only)\n"
	       "  --lock-vmx         lock VMX off, as firmware can\n"
	       "  --force-exits LIST exits that the guest need not have, for research: all, or\n"
	       "                     names such as cr3-load,rdtsc (Droste only)\n"
	       "  --trace-unhandled  report accesses to ports and addresses without a device\n"
	       "  --save FILE        where the guest is saved when you ask for that; see below\n"
	       "  --restore FILE     go on with the guest that was saved there, instead of booting a kernel\n"
	       "  --migrate-to DEST  unix:PATH or HOST:PORT, where \"drostectl receive\" waits: the guest moves there\n"
	       "                     when you ask for that\n"
	       "  --barriers         each WBINVD of the guest that moves gives the receiver a complete state, with\n"
	       "                     which it goes on if this machine dies (Droste only); ask again for the end\n"
	       "  --quiet            do not report that the guest powered off\n"
	       "  --stats            at the end, print the exits by reason and level (Droste only)\n"
	       "  -h, --help         print this text\n"
	       "\n"
	       "Ctrl-A x on the console ends the guest, Ctrl-A Ctrl-A sends one Ctrl-A. To save or move the guest,\n"
	       "press Ctrl-A s, send SIGUSR1, or let the guest write 1 to port 0xf8.\n"
	       "\n");
	outcome_help();
}

static int bad_usage(void)
{
	say("see \"drostectl run --help\" for the options");
	return STATUS_USAGE;
}

enum option_id {
	OPT_KERNEL = 256, OPT_INITRD, OPT_APPEND, OPT_CPU, OPT_PROFILE, OPT_CPUS, OPT_MEMORY, OPT_PASS_PORTS, OPT_LOCK_VMX,
	OPT_FAST, OPT_FORCE_EXITS, OPT_HYPERVISOR, OPT_RESTORE,
	OPT_HELP = 'h'
};

static int check_ports(const char *ranges)
{
	unsigned long first, last;

	while (ranges)
		if (args_range("pass-ports", &ranges, 0xffff, &first, &last))
			return -1;
	return 0;
}

static int set_option(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_KERNEL:
		o->kernel = arg;
		return 0;
	case OPT_INITRD:
		o->initrd = arg;
		return 0;
	case OPT_APPEND:
		o->append = arg;
		return 0;
	case OPT_CPU:
		o->cpu = pool_run_read(arg);
		return o->cpu ? 0 : -1;
	case OPT_PROFILE:
		o->profile = profile_run_read(arg);
		return o->profile ? 0 : -1;
	case OPT_CPUS:
		return args_number("cpus", arg, 1, ACPI_MAX_CPUS, &o->cpus);
	case OPT_MEMORY:
		return args_size("memory", arg, MEMORY_MIN, MEMORY_MAX,
				 &o->memory);
	case OPT_PASS_PORTS:
		o->pass_ports = arg;
		return check_ports(arg);
	case OPT_HYPERVISOR:
		o->call_kvm = !strcmp(arg, "kvm");
		if (o->call_kvm || !strcmp(arg, "droste"))
			return 0;
		say("--hypervisor: \"%s\" is neither droste nor kvm", arg);
		return -1;
	case OPT_LOCK_VMX:
		o->lock_vmx = true;
		return 0;
	case OPT_FORCE_EXITS:
		return force_parse(arg, &o->force);
	case OPT_FAST:
		o->fast = true;
		return 0;
	case OPT_RESTORE:
		o->restore = arg;
		return 0;
	default:
		return run_option(&o->run, opt, arg);	/* or getopt_long() has printed an error message */
	}
}

/* Options about moving and saving that do not go with others. Returns 0, or -1 after an error message. */
static int check_moves(const struct options *o)
{
	if (mover_check(&o->run.move))
		return -1;
	if ((o->run.move.save || o->run.move.to) && (o->profile || o->pass_ports)) {
		say("a guest with %s is of this machine, and cannot be saved or moved", o->profile ? "--profile" : "--pass-ports");
		return -1;
	}
	if (o->restore && (o->kernel || o->initrd || o->cpu || o->profile || o->pass_ports || *o->append || o->force ||
			   o->lock_vmx || o->fast || o->call_kvm)) {
		say("--restore goes on with a machine as it is: see drostectl(8) for the options that may be given, too");
		return -1;
	}
	return 0;
}

/*
 * Returns 0 to continue, 1 if --help was given, -1 after printing an error
 * message.
 */
static int parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "kernel", required_argument, NULL, OPT_KERNEL },
		{ "initrd", required_argument, NULL, OPT_INITRD },
		{ "append", required_argument, NULL, OPT_APPEND },
		{ "cpu", required_argument, NULL, OPT_CPU },
		{ "profile", required_argument, NULL, OPT_PROFILE },
		{ "cpus", required_argument, NULL, OPT_CPUS },
		{ "memory", required_argument, NULL, OPT_MEMORY },
		{ "pass-ports", required_argument, NULL, OPT_PASS_PORTS },
		{ "hypervisor", required_argument, NULL, OPT_HYPERVISOR },
		{ "lock-vmx", no_argument, NULL, OPT_LOCK_VMX },
		{ "force-exits", required_argument, NULL, OPT_FORCE_EXITS },
		{ "fast", no_argument, NULL, OPT_FAST },
		{ "restore", required_argument, NULL, OPT_RESTORE },
		RUN_OPTIONS,
		{ "help", no_argument, NULL, OPT_HELP },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (opt == OPT_HELP)
			return 1;
		if (set_option(o, opt, optarg))
			return -1;
	}
	if (optind < argc) {
		say("unexpected argument \"%s\"", argv[optind]);
		return -1;
	}
	if (o->cpu && o->profile) {
		say("--cpu and --profile both say what the guest's processor is");
		return -1;
	}
	if (o->call_kvm && o->profile) {
		say("--hypervisor and --profile: a guest with a profile sees no hypervisor");
		return -1;
	}
	if (check_moves(o))
		return -1;
	if (o->restore)
		return 0;
	if (o->run.pin && pin_check(o->run.pin, o->cpus))
		return -1;
	if (!o->kernel) {
		say("no kernel given: use --kernel FILE, such as --kernel /boot/vmlinuz-$(uname -r)");
		return -1;
	}
	return 0;
}

/* Loads the guest's files. Returns the entry point, or 0 after an error message. */
static uint64_t load_guest(struct machine *m, const struct options *o)
{
	struct linux_image image = {
		.kernel = o->kernel, .initrd = o->initrd,
		.rsdp = acpi_build(&m->mem, o->cpus, o->profile ? &o->profile->p : NULL),
	};
	struct initramfs shell = { .data = NULL };
	uint64_t entry = 0;
	char *cmdline;

	if (o->profile && o->profile->p.nr_smbios && smbios_build(&m->mem, &o->profile->p))
		return 0;
	if (o->initrd && !strcmp(o->initrd, "auto")) {
		if (initramfs_build(&shell))
			return 0;
		image.disk = shell.data;
		image.disk_size = shell.len;
		image.initrd = "the initial RAM disk";
	}

	/* Of two settings the kernel takes the last, so the user's words come last. */
	if (asprintf(&cmdline, "console=ttyS0%s%s%s",
		     o->fast ? " " FAST_WORDS : "", *o->append ? " " : "",
		     o->append) < 0) {
		say("out of memory");
		initramfs_free(&shell);
		return 0;
	}
	image.cmdline = cmdline;
	entry = linux_load(&m->mem, &image);
	free(cmdline);
	initramfs_free(&shell);
	return entry;
}

static int add_vcpus(struct machine *m, const struct options *o, uint64_t entry)
{
	struct kvm_cpuid2 *cpuid = o->profile ? profile_run_cpuid(o->profile, m->vm.dev_fd, o->cpus) :
				   o->cpu ? pool_run_cpuid(o->cpu, m->vm.dev_fd) : cpuid_get(m->vm.dev_fd);
	int ret = cpuid ? 0 : -1;

	if (!ret && o->call_kvm)
		cpuid_call_kvm(cpuid);
	if (!ret && o->profile)
		ret = profile_run_vm(o->profile, m->vm.dev_fd, m->vm.fd);

	for (unsigned int i = 0; i < o->cpus && !ret; i++) {
		ret = vcpu_create(&m->vm, cpuid, i, o->cpus);
		if (!ret && o->cpu)
			ret = pool_run_msrs(o->cpu, m->vm.vcpu[i].fd);
		if (!ret && o->profile)
			ret = profile_run_msrs(o->profile, m->vm.vcpu[i].fd);
	}
	free(cpuid);
	return ret ? ret : vcpu_boot_state(&m->vm.vcpu[0], entry);
}

/*
 * The guest's processor, for a guest that may go elsewhere: what the device offers now, which another pool of the device may
 * change. Returns 0, or -1 after an error message.
 */
static int know_processor(struct vm *vm, const struct options *o)
{
	static struct droste_pool all;

	vm->pool = o->cpu ? &o->cpu->p : NULL;
	if (o->cpu || (!o->run.move.save && !o->run.move.to))
		return 0;
	vm->pool = &all;
	return pool_host_read(&all, vm->dev_fd);
}

int cmd_run(int argc, char **argv)
{
	struct options o = {
		.run.device = "/dev/droste", .append = "", .cpus = 1, .memory = 512,
	};
	struct machine *m;
	uint64_t entry;
	int ret = parse_options(&o, argc, argv);

	if (ret > 0) {
		run_help();
		return 0;
	}
	if (ret < 0)
		return bad_usage();

	if (o.restore)
		return incoming_restore(o.restore, &o.run);
	m = calloc(1, sizeof(*m));
	if (!m || mem_init(&m->mem, o.memory * MIB)) {
		say("cannot allocate %lu MiB of memory: %s; use a smaller --memory",
		    o.memory, strerror(errno));
		return STATUS_FAILED;
	}
	/* Load the files first: they are the most likely mistake of a user. */
	entry = load_guest(m, &o);
	if (!entry)
		return STATUS_USAGE;
	m->vm.mem = &m->mem;
	m->vm.bus = &m->bus;
	m->vm.trace = o.run.trace;
	m->vm.lock_vmx = o.lock_vmx;
	m->vm.pin = o.run.pin;
	m->vm.profile = o.profile ? &o.profile->p : NULL;
	m->vm.logs = o.run.move.to;
	m->quiet = o.run.quiet;
	m->stats = o.run.stats;
	m->vm.dev_fd = vm_open(o.run.device);
	if (m->vm.dev_fd < 0)
		return STATUS_FAILED;
	if (vm_check_vcpus(m->vm.dev_fd, o.cpus))
		return bad_usage();
	if (know_processor(&m->vm, &o) || vm_create(&m->vm, o.cpus) || vm_pass_ports(&m->vm, o.pass_ports) || (o.force && force_apply(m->vm.fd, o.force)) ||
	    machine_devices(m) || add_vcpus(m, &o, entry) || (m->vm.logs && dirty_map(&m->vm)))
		return STATUS_FAILED;
	m->console.hints = !o.initrd;
	mover_init(m, &o.run.move, 0);

	host_warn(o.cpus, o.memory);
	ret = machine_run(m);
	machine_free(m);
	return ret;
}
