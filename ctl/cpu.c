// SPDX-License-Identifier: GPL-2.0
/* drostectl cpu: the processor that guests of several hosts can have. */
#include "cpu.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/msr-index.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "nested/vmcs12.h"
#include "outcome.h"
#include "paint.h"
#include "poolfile.h"
#include "poolhost.h"
#include "poolsay.h"
#include "say.h"
#include "utf8.h"
#include "version.h"
#include "vm.h"
#include "vmx/types.h"

/* Exit statuses of "compare". */
#define COMPARE_EQUAL	0
#define COMPARE_RUNS	1
#define COMPARE_NOT	2
#define COMPARE_FAILED	3

#define MSR_VMCS_ENUM	0x48a	/* IA32_VMX_VMCS_ENUM */

/* The options. */
struct cpu_words {
	const char *device;
	bool host;
};

void cpu_help(void)
{
	printf("Usage: drostectl cpu dump [--host] [--device PATH]\n"
	       "       drostectl cpu baseline FILE...\n"
	       "       drostectl cpu compare FILE FILE\n"
	       "       drostectl cpu pool FILE|none [--device PATH]\n"
	       "Find the processor that guests of several hosts can have, so that they can migrate to each of them.\n"
	       "\n"
	       "\"dump\" prints the processor that this host gives to guests: CPUID, the capabilities of VMX, MSRs.\n"
	       "\"baseline\" prints what the hosts of some dumps have in common, and tells what each of them loses.\n"
	       "\"compare\" tells what keeps guests of the first host, or pool, from running on the second.\n"
	       "\"pool\" lets the device give the pool's processor to all new guests, until \"pool none\" (root, Droste only).\n"
	       "\n"
	       "  --device PATH      device that implements the KVM API (/dev/droste)\n"
	       "  --host             dump what guests could have without the device's pool (Droste only)\n"
	       "  -h, --help         print this text\n"
	       "\n"
	       "A file is what \"dump\" or \"baseline\" printed; \"-\" is standard input.\n"
	       "Exit status: 0 success, 1 an operation failed, 2 wrong arguments or files.\n"
	       "That of \"compare\": 0 each runs on the other, 1 guests of the first run on the second, 2 they do not,\n"
	       "3 wrong arguments or files.\n");
}

static int bad_usage(void)
{
	say("see \"drostectl cpu --help\"");
	return STATUS_USAGE;
}

/* --- dump --- */

/* Where a dump is from; a comment, which nothing reads. */
static void print_about(char *text, size_t size, const char *device, const struct droste_pool *p)
{
	char brand[49] = "";
	struct utsname u;

	for (uint32_t i = 0; i < 3; i++) {
		const struct droste_pool_cpuid *e = pool_find((struct droste_pool *)p, 0x80000002 + i, 0);

		if (e)
			memcpy(brand + 16 * i, e->regs, 16);
	}
	utf8_clean(brand);
	if (uname(&u))
		memset(&u, 0, sizeof(u));
	snprintf(text, size, "# %s on %s, Linux %s; drostectl %s\n# %s\n", device, u.nodename, u.release, drostectl_version,
		 *brand ? brand : "a processor without a name");
}

static int cpu_dump(int nr, char **files, const struct cpu_words *w)
{
	struct droste_pool p;
	char about[512];
	int fd, ret;

	(void)files;
	if (nr) {
		say("\"dump\" takes no files");
		return bad_usage();
	}
	fd = vm_open(w->device);
	if (fd < 0)
		return STATUS_FAILED;
	ret = w->host ? pool_host_whole(&p, fd) : pool_host_read(&p, fd);
	close(fd);
	if (ret)
		return STATUS_FAILED;
	print_about(about, sizeof(about), w->device, &p);
	pool_file_write(stdout, &p, about);
	return 0;
}

/* --- baseline --- */

/* Leaves and MSRs that no rule is for, and contradictions, are taken out. */
static void close_file(struct pool_file *f)
{
	struct droste_pool whole = f->p;

	pool_meet(&whole, &whole, &f->p);
}

/* IA32_VMX_VMCS_ENUM follows from the other capabilities, if the VMCS is KVM's and Droste's. */
static void derive_vmcs_enum(struct droste_pool *p)
{
	struct droste_pool_msr *m = pool_find_msr(p, MSR_VMCS_ENUM), *basic = pool_find_msr(p, MSR_IA32_VMX_BASIC);
	struct vmx_caps caps = { 0 };

	if (!m || !basic || (basic->value & 0x7fffffff) != VMCS12_REVISION)
		return;
	for (uint32_t i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index >= VMX_CAPS_FIRST && p->msrs[i].index < VMX_CAPS_FIRST + VMX_CAPS_NR)
			*vmx_caps_msr(&caps, p->msrs[i].index) = p->msrs[i].value;
	m->value = (uint64_t)vmcs12_max_index(vmcs12_gates(&caps)) << 1;
}

static int cpu_baseline(int nr, char **names, const struct cpu_words *w)
{
	struct pool_file *files = calloc(nr ? nr : 1, sizeof(*files));
	struct droste_pool pool, next;
	char about[64];
	int i;

	(void)w;
	if (!nr || !files) {
		say(nr ? "out of memory" : "\"baseline\" needs a file");
		free(files);
		return nr ? STATUS_FAILED : bad_usage();
	}
	for (i = 0; i < nr; i++) {
		if (pool_file_read(&files[i], names[i])) {
			free(files);
			return STATUS_USAGE;
		}
	}
	pool_meet(&files[0].p, &files[0].p, &pool);
	for (i = 1; i < nr; i++) {
		next = pool;
		pool_meet(&next, &files[i].p, &pool);
	}
	if (!pool.nr_cpuid) {
		say("the processors have nothing in common: their makers differ");
		free(files);
		return STATUS_FAILED;
	}
	derive_vmcs_enum(&pool);
	paint_begin_on(STDERR_FILENO);
	for (i = 0; i < nr; i++) {
		close_file(&files[i]);
		fprintf(stderr, "%s loses:\n", names[i]);
		if (!pool_say_lost(stderr, &files[i].p, &pool, true))
			fprintf(stderr, "  nothing\n");
	}
	if (!pool_find_msr(&pool, MSR_IA32_VMX_BASIC))
		fprintf(stderr, "guests of this pool have no VMX\n");
	snprintf(about, sizeof(about), "# what %d %s in common\n", nr, nr == 1 ? "host has" : "hosts have");
	pool_file_write(stdout, &pool, about);
	free(files);
	return 0;
}

/* --- compare --- */

static int cpu_compare(int nr, char **names, const struct cpu_words *w)
{
	static struct pool_file files[2];
	struct droste_pool both;
	bool runs, back;

	(void)w;
	if (nr != 2) {
		say("\"compare\" needs two files");
		bad_usage();
		return COMPARE_FAILED;
	}
	if (pool_file_read(&files[0], names[0]) || pool_file_read(&files[1], names[1]))
		return COMPARE_FAILED;
	close_file(&files[0]);
	close_file(&files[1]);
	pool_meet(&files[0].p, &files[1].p, &both);
	runs = !pool_lost(&files[0].p, &both, NULL, NULL) && !pool_lost_tsc(&files[0].p, &files[1].p);
	back = !pool_lost(&files[1].p, &both, NULL, NULL) && !pool_lost_tsc(&files[1].p, &files[0].p);
	paint_begin();
	if (runs && back) {
		printf("guests of each run on the other\n");
		return COMPARE_EQUAL;
	}
	if (runs) {
		printf("guests of %s run on %s\n", names[0], names[1]);
		return COMPARE_RUNS;
	}
	printf("guests of %s cannot run on %s, which lacks:\n", names[0], names[1]);
	if (!both.nr_cpuid)
		printf("  the same maker's processor\n");
	else
		pool_say_lost(stdout, &files[0].p, &both, false);
	if (!pool_lost_tsc(&files[0].p, &both) && pool_lost_tsc(&files[0].p, &files[1].p))
		printf("  the TSC's frequency\n");
	return COMPARE_NOT;
}

/* --- pool --- */

/* What a host lacks for a pool. */
static void say_why_not(const char *name, const struct droste_pool *p, const struct droste_pool *host)
{
	struct droste_pool both;

	pool_meet(p, host, &both);
	say("this host cannot keep %s, because it lacks:", name);
	paint_begin_on(STDERR_FILENO);
	if (!both.nr_cpuid)
		fprintf(stderr, "  a processor of the same maker\n");
	else
		pool_say_lost(stderr, p, &both, false);
	if (pool_lost_tsc(p, host))
		fprintf(stderr, "  a TSC of %u kHz: its own has %u kHz, and cannot be scaled\n", p->tsc_khz, host->tsc_khz);
}

/* Gives the device a pool from a file. Returns an exit status. */
static int set_pool(int fd, const char *name)
{
	static struct pool_file f;
	struct droste_pool host;

	if (pool_file_read(&f, name) || pool_file_contradicts(&f))
		return STATUS_USAGE;
	if (pool_host_whole(&host, fd))
		return STATUS_FAILED;
	if (!ioctl(fd, DROSTE_SET_POOL, &f.p))
		return 0;
	if (errno == ENXIO)
		say_why_not(name, &f.p, &host);
	else
		say("DROSTE_SET_POOL failed: %s%s", strerror(errno), errno == EPERM ? "; use sudo" : "");
	return STATUS_FAILED;
}

static int cpu_pool(int nr, char **names, const struct cpu_words *w)
{
	static const struct droste_pool none;
	int fd, ret = 0;

	if (nr != 1) {
		say("\"pool\" needs a file, or the word \"none\"");
		return bad_usage();
	}
	fd = vm_open(w->device);
	if (fd < 0)
		return STATUS_FAILED;
	if (strcmp(names[0], "none")) {
		ret = set_pool(fd, names[0]);
	} else if (ioctl(fd, DROSTE_SET_POOL, &none)) {
		say("DROSTE_SET_POOL failed: %s", errno == ENOTTY ? "the device is not Droste's" : strerror(errno));
		ret = STATUS_FAILED;
	}
	close(fd);
	return ret;
}

/* --- the command --- */

static const struct {
	const char *name;
	int (*run)(int nr, char **files, const struct cpu_words *w);
} verbs[] = {
	{ "dump", cpu_dump },
	{ "baseline", cpu_baseline },
	{ "compare", cpu_compare },
	{ "pool", cpu_pool },
};

int cmd_cpu(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "host", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct cpu_words w = { .device = "/dev/droste" };
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		if (opt == 'h') {
			cpu_help();
			return 0;
		}
		if (opt == 'd')
			w.device = optarg;
		else if (opt == 'o')
			w.host = true;
		else
			return bad_usage();
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && optind < argc; i++)
		if (!strcmp(argv[optind], verbs[i].name))
			return verbs[i].run(argc - optind - 1, argv + optind + 1, &w);
	if (optind < argc)
		say("unknown word \"%s\"", argv[optind]);
	else
		say("say what to do: dump, baseline, compare or pool");
	return bad_usage();
}
