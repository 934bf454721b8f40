// SPDX-License-Identifier: GPL-2.0
/* drostectl profile: files that describe a real machine, for a guest that shall look like it. */
#include "profile.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "outcome.h"
#include "paint.h"
#include "poolhost.h"
#include "poolsay.h"
#include "profilefile.h"
#include "profilehost.h"
#include "profilerun.h"
#include "say.h"
#include "version.h"
#include "vm.h"

void profile_help(void)
{
	printf("Usage: drostectl profile capture [--device PATH]\n"
	       "       drostectl profile check FILE\n"
	       "Describe a real machine in a file, for a guest that shall look like it (\"drostectl run --profile FILE\").\n"
	       "\n"
	       "\"capture\" prints this machine's CPUID, as far as the device gives it to guests, plain MSRs, and the\n"
	       "identities in its ACPI tables and SMBIOS. What guests do not get is told on the standard error. It needs\n"
	       "root and the module msr. The file has the machine's serial numbers, if the firmware tells them.\n"
	       "\"check\" reads a file, and tells which rows are wrong or contradict each other.\n"
	       "\n"
	       "  --device PATH      device that implements the KVM API (/dev/droste)\n"
	       "  -h, --help         print this text\n"
	       "\n"
	       "docs/stealth.md says what can be hidden from a guest and what cannot.\n"
	       "Exit status: 0 success, 1 an operation failed, 2 wrong arguments or files.\n");
}

static int bad_usage(void)
{
	say("see \"drostectl profile --help\"");
	return STATUS_USAGE;
}

/* Leaves that describe the machine and not the processor's features stay as they are: topology, APIC IDs, caches. */
static void keep_topology(const struct droste_pool *machine, struct droste_pool *both)
{
	for (uint32_t i = 0; i < machine->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &machine->cpuid[i];
		struct droste_pool_cpuid *to = pool_find(both, e->leaf, e->subleaf);

		if (to && (e->leaf == 4 || e->leaf == 0xb || e->leaf == 0x1f))
			*to = *e;
		/* IDs of the package. */
		if (to && e->leaf == 1)
			to->regs[POOL_EBX] = e->regs[POOL_EBX];
	}
}

/* Sub-leaves of the topology that a device does not list are given to guests all the same. */
static void add_topology(const struct droste_pool *machine, struct droste_pool *both)
{
	for (uint32_t i = 0; i < machine->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &machine->cpuid[i];
		uint32_t k;

		if ((e->leaf != 0xb && e->leaf != 0x1f && e->leaf != 4) || pool_find(both, e->leaf, e->subleaf) ||
		    both->nr_cpuid == DROSTE_POOL_CPUID)
			continue;
		for (k = both->nr_cpuid; k && (both->cpuid[k - 1].leaf > e->leaf || (both->cpuid[k - 1].leaf == e->leaf &&
					      both->cpuid[k - 1].subleaf > e->subleaf)); k--)
			;
		memmove(&both->cpuid[k + 1], &both->cpuid[k], (both->nr_cpuid - k) * sizeof(*e));
		both->cpuid[k] = *e;
		both->nr_cpuid++;
	}
}

/* The feature MSRs are the device's: those of VMX are of its own kind, and the guest's hypervisors see them anyway. */
static int fit(struct droste_pool *machine, const char *device, struct droste_pool *both)
{
	static struct droste_pool offered;
	int fd = vm_open(device), ret;

	if (fd < 0)
		return -1;
	ret = pool_host_read(&offered, fd);
	close(fd);
	if (ret)
		return -1;
	for (uint32_t i = 0; i < offered.nr_msrs; i++) {
		if (offered.msrs[i].index >= 0x480 && offered.msrs[i].index < 0x500)
			machine->msrs[machine->nr_msrs++] = offered.msrs[i];
	}
	machine->tsc_khz = offered.tsc_khz;
	machine->tsc_khz_max = offered.tsc_khz_max;
	profile_run_announce(machine, &offered);
	pool_meet(machine, &offered, both);
	keep_topology(machine, both);
	add_topology(machine, both);
	both->nr_list = 0;
	both->flags = 0;
	paint_begin_on(STDERR_FILENO);
	fprintf(stderr, "guests of %s lack:\n", device);
	if (!pool_say_lost(stderr, machine, both, true))
		fprintf(stderr, "  nothing\n");
	return 0;
}

static int capture(const char *device)
{
	static struct droste_pool machine, both;
	static struct profile p;
	struct utsname u;
	char about[512];

	if (geteuid()) {
		say("\"profile capture\" is root's");
		return STATUS_FAILED;
	}
	if (profile_host_cpu(&machine) || profile_host_rest(&p) || fit(&machine, device, &both))
		return STATUS_FAILED;
	if (uname(&u))
		memset(&u, 0, sizeof(u));
	snprintf(about, sizeof(about), "# %s, Linux %s; drostectl %s\n", u.nodename, u.release, drostectl_version);
	profile_file_write(stdout, &both, &p, about);
	return 0;
}

int cmd_profile(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static struct profile_file f;
	const char *device = "/dev/droste";
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			profile_help();
			return 0;
		}
		if (opt != 'd')
			return bad_usage();
		device = optarg;
	}
	if (optind + 1 == argc && !strcmp(argv[optind], "capture"))
		return capture(device);
	if (optind + 2 == argc && !strcmp(argv[optind], "check"))
		return profile_file_read(&f, argv[optind + 1]) ? STATUS_USAGE : 0;
	say("say \"capture\", or \"check\" and a file");
	return bad_usage();
}
