// SPDX-License-Identifier: GPL-2.0
/* drostectl info: compares the processor with what a guest is offered. */
#include <cpuid.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "cpuid.h"
#include "info.h"
#include "json.h"
#include "outcome.h"
#include "say.h"
#include "verdict.h"
#include "version.h"
#include "vm.h"
#include "vmxcaps.h"

#define CPU_MAX		99999	/* greatest number of a host processor that is accepted */

/* A value that may be absent, or that cannot be read. */
struct value {
	enum { UNKNOWN, ABSENT, KNOWN } state;
	uint64_t val;
};

/* One of the two sides of the comparison. */
struct side {
	int fd;				/* MSR device, KVM device, or -1 */
	struct kvm_cpuid2 *cpuid;	/* NULL: ask the processor */
	struct kvm_msr_list *msrs;	/* MSRs that the device lists, or NULL */
	struct value (*msr)(const struct side *s, uint32_t index);
	struct kvm_cpuid_entry2 (*leaf)(const struct side *s, uint32_t leaf,
					uint32_t subleaf);
};

enum { PROCESSOR, OFFERED, NR_SIDES };

enum reg { EAX, EBX, ECX, EDX };

/* The CPUID features that matter to a hypervisor running in a guest. */
static const struct {
	uint32_t leaf, subleaf;
	enum reg reg;
	uint8_t low, width;
	const char *name;
} features[] = {
	{ 0x1, 0, ECX, 5, 1, "VMX" },
	{ 0x1, 0, ECX, 31, 1, "Runs under a hypervisor" },
	{ 0x1, 0, ECX, 21, 1, "x2APIC" },
	{ 0x1, 0, ECX, 24, 1, "TSC deadline timer" },
	{ 0x1, 0, ECX, 17, 1, "PCID" },
	{ 0x1, 0, ECX, 26, 1, "XSAVE" },
	{ 0x1, 0, ECX, 28, 1, "AVX" },
	{ 0x1, 0, EDX, 12, 1, "MTRR" },
	{ 0x1, 0, EDX, 16, 1, "PAT" },
	{ 0x6, 0, EAX, 2, 1, "APIC timer always runs" },
	{ 0x7, 0, EBX, 0, 1, "FSGSBASE" },
	{ 0x7, 0, EBX, 5, 1, "AVX2" },
	{ 0x7, 0, EBX, 7, 1, "SMEP" },
	{ 0x7, 0, EBX, 10, 1, "INVPCID" },
	{ 0x7, 0, EBX, 16, 1, "AVX-512F" },
	{ 0x7, 0, EBX, 20, 1, "SMAP" },
	{ 0x7, 0, ECX, 2, 1, "UMIP" },
	{ 0x7, 0, ECX, 3, 1, "PKU" },
	{ 0x7, 0, ECX, 16, 1, "LA57" },
	{ 0x7, 0, EDX, 26, 1, "SPEC_CTRL" },
	{ 0xd, 1, EAX, 3, 1, "XSAVES" },
	{ 0x80000001, 0, EDX, 20, 1, "NX" },
	{ 0x80000001, 0, EDX, 26, 1, "1 GiB pages" },
	{ 0x80000001, 0, EDX, 27, 1, "RDTSCP" },
	{ 0x80000007, 0, EDX, 8, 1, "Invariant TSC" },
	{ 0x80000008, 0, EAX, 0, 8, "Physical address bits" },
	{ 0x80000008, 0, EAX, 8, 8, "Linear address bits" },
};

static struct value processor_msr(const struct side *s, uint32_t index)
{
	struct value v = { .state = UNKNOWN };

	if (s->fd < 0)
		return v;
	/* The msr driver returns EIO if RDMSR faults. */
	if (pread(s->fd, &v.val, sizeof(v.val), index) == sizeof(v.val))
		v.state = KNOWN;
	else if (errno == EIO)
		v.state = ABSENT;
	return v;
}

/* Whether the device lists an MSR. It may return anything for other MSRs. */
static bool listed(const struct side *s, uint32_t index)
{
	for (uint32_t i = 0; s->msrs && i < s->msrs->nmsrs; i++)
		if (s->msrs->indices[i] == index)
			return true;
	return false;
}

static struct kvm_msr_list *feature_msrs(int fd)
{
	struct kvm_msr_list probe = { .nmsrs = 0 }, *list;

	/* The first call fails with E2BIG and returns the number of MSRs. */
	if (!ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &probe) ||
	    errno != E2BIG)
		return NULL;
	list = calloc(1, sizeof(*list) +
			 probe.nmsrs * sizeof(list->indices[0]));
	if (!list)
		return NULL;
	list->nmsrs = probe.nmsrs;
	if (ioctl(fd, KVM_GET_MSR_FEATURE_INDEX_LIST, list)) {
		free(list);
		return NULL;
	}
	return list;
}

static struct value offered_msr(const struct side *s, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head = { .nmsrs = 1 }, .entry = { .index = index } };
	struct value v = { .state = UNKNOWN };

	if (s->fd < 0)
		return v;
	v.state = listed(s, index) && ioctl(s->fd, KVM_GET_MSRS, &msr) == 1 ?
		  KNOWN : ABSENT;
	v.val = msr.entry.data;
	return v;
}

static struct kvm_cpuid_entry2 processor_leaf(const struct side *s,
					      uint32_t leaf, uint32_t subleaf)
{
	struct kvm_cpuid_entry2 e = { .function = leaf, .index = subleaf };

	(void)s;
	/* Hypervisor leaves have their own maximum, which the caller checks. */
	if ((leaf & 0xf0000000) == 0x40000000 ||
	    __get_cpuid_max(leaf & 0x80000000, NULL) >= leaf)
		__cpuid_count(leaf, subleaf, e.eax, e.ebx, e.ecx, e.edx);
	return e;
}

static struct kvm_cpuid_entry2 offered_leaf(const struct side *s,
					    uint32_t leaf, uint32_t subleaf)
{
	const struct kvm_cpuid_entry2 *e =
		s->cpuid ? cpuid_find(s->cpuid, leaf, subleaf) : NULL;

	return e ? *e : (struct kvm_cpuid_entry2){ .function = leaf };
}

static uint64_t bits_of(uint64_t val, unsigned int low, unsigned int width)
{
	return val >> low & (width == 64 ? UINT64_MAX : (1ULL << width) - 1);
}

static bool json;	/* print JSON instead of a table */

/* Prints a value of the table as JSON. */
static void json_cell(const char *key, const char *text)
{
	if (!strcmp(text, "yes") || !strcmp(text, "no"))
		json_bool(key, *text == 'y');
	else if (!strcmp(text, "-"))
		json_string(key, NULL);
	else if (*text && !text[strspn(text, "0123456789")])
		json_word(key, text);
	else
		json_string(key, text);
}

static void print_row(const char *name, const char *processor,
		      const char *offered)
{
	if (!json) {
		printf("  %-44s %-18s %s\n", name, processor, offered);
		return;
	}
	json_open(NULL, '{');
	json_string("name", name);
	json_cell("processor", processor);
	json_cell("offered", offered);
	json_close();
}

/* Prints the value of an MSR as a whole; its bits follow. */
static void print_heading(const struct vmxcap_msr *m, const char *processor,
			  const char *offered)
{
	char index[16];

	if (!json) {
		if (m->kind != VMXCAP_VALUE)
			printf("\n");
		printf("%-46s %-18s %s\n", m->name, processor, offered);
		return;
	}
	snprintf(index, sizeof(index), "0x%x", m->index);
	json_open(NULL, '{');
	json_string("name", m->name);
	json_string("index", index);
	json_string("processor", strcmp(processor, "-") ? processor : NULL);
	json_string("offered", strcmp(offered, "-") ? offered : NULL);
	json_open("bits", '[');
}

/* The allowed settings of a control bit, from the two halves of its MSR (A.3.1). */
static const char *control_word(uint64_t msr, unsigned int bit)
{
	if (!(msr >> (32 + bit) & 1))
		return "no";
	return msr >> bit & 1 ? "always" : "yes";
}

static const char *not_known(struct value v)
{
	return v.state == ABSENT ? "-" : "unknown";
}

static void show_bits(char *text, size_t size, struct value v,
		      unsigned int low, unsigned int width)
{
	if (v.state != KNOWN)
		snprintf(text, size, "%s", not_known(v));
	else if (width == 1)
		snprintf(text, size, "%s", v.val >> low & 1 ? "yes" : "no");
	else
		snprintf(text, size, "%" PRIu64, bits_of(v.val, low, width));
}

static void print_msr(const struct side *sides, const struct vmxcap_msr *m)
{
	struct value v[NR_SIDES];
	char text[NR_SIDES][24];

	for (int i = 0; i < NR_SIDES; i++) {
		struct value basic = sides[i].msr(&sides[i], MSR_VMX_BASIC);
		bool has_true = m->true_index &&
				basic.state == KNOWN &&
				basic.val & VMX_BASIC_TRUE;

		v[i] = sides[i].msr(&sides[i],
				    has_true ? m->true_index : m->index);
		if (v[i].state == KNOWN)
			snprintf(text[i], sizeof(text[i]), "%016" PRIx64,
				 v[i].val);
		else
			snprintf(text[i], sizeof(text[i]), "%s",
				 not_known(v[i]));
	}
	print_heading(m, text[PROCESSOR], text[OFFERED]);
	for (size_t n = 0; n < vmxcap_nr_bits; n++) {
		const struct vmxcap_bit *b = &vmxcap_bits[n];

		if (b->index != m->index)
			continue;
		for (int i = 0; i < NR_SIDES; i++) {
			if (v[i].state == KNOWN &&
			    m->kind == VMXCAP_CONTROLS)
				snprintf(text[i], sizeof(text[i]), "%s",
					 control_word(v[i].val, b->low));
			else
				show_bits(text[i], sizeof(text[i]), v[i],
					  b->low, b->width);
		}
		print_row(b->name, text[PROCESSOR], text[OFFERED]);
	}
	if (json) {
		json_close();
		json_close();
	}
}

static uint32_t reg_of(const struct kvm_cpuid_entry2 *e, enum reg reg)
{
	const uint32_t regs[] = { e->eax, e->ebx, e->ecx, e->edx };

	return regs[reg];
}

/* The hypervisor's signature (leaf 0x40000000), empty if there is none. */
static void signature(const struct side *s, char *text)
{
	struct kvm_cpuid_entry2 e = s->leaf(s, 0x40000000, 0);

	text[0] = '\0';
	/* Without a hypervisor, the processor returns the data of another leaf. */
	if (!s->cpuid && !(s->leaf(s, 1, 0).ecx >> 31))
		return;
	memcpy(text, &e.ebx, 4);
	memcpy(text + 4, &e.ecx, 4);
	memcpy(text + 8, &e.edx, 4);
	text[12] = '\0';
}

static void print_features(const struct side *sides)
{
	bool known[NR_SIDES] = { true, sides[OFFERED].cpuid != NULL };
	char text[NR_SIDES][24];

	if (json)
		json_open("cpuid", '[');
	else
		printf("CPUID\n");
	for (int i = 0; i < NR_SIDES; i++)
		signature(&sides[i], text[i]);
	print_row("Hypervisor signature",
		  *text[PROCESSOR] ? text[PROCESSOR] : "none",
		  !known[OFFERED] ? "unknown" :
		  *text[OFFERED] ? text[OFFERED] : "none");
	for (size_t n = 0; n < sizeof(features) / sizeof(features[0]); n++) {
		for (int i = 0; i < NR_SIDES; i++) {
			struct kvm_cpuid_entry2 e =
				sides[i].leaf(&sides[i], features[n].leaf,
					      features[n].subleaf);
			struct value v = {
				.state = known[i] ? KNOWN : UNKNOWN,
				.val = reg_of(&e, features[n].reg),
			};

			show_bits(text[i], sizeof(text[i]), v, features[n].low,
				  features[n].width);
		}
		print_row(features[n].name, text[PROCESSOR], text[OFFERED]);
	}
	if (json)
		json_close();
}

static bool has_vmx(const struct side *s)
{
	return s->msr(s, MSR_VMX_BASIC).state == KNOWN;
}

void info_help(void)
{
	printf("Usage: drostectl info [OPTION]...\n"
	       "Show the processor's features and those offered to a guest, side by side,\n"
	       "and whether this machine can run Droste.\n"
	       "\n"
	       "  --device PATH  device that implements the KVM API (/dev/droste)\n"
	       "  --cpu N        host processor whose MSRs are read (0)\n"
	       "  --json         print JSON instead of a table\n"
	       "  -h, --help     print this text\n"
	       "\n"
	       "The processor's MSRs are read from /dev/cpu/N/msr: run \"modprobe msr\" first.\n"
	       "For a control, \"yes\" means that it may be set, \"always\" that it must be.\n"
	       "CPUID is read by this program, so in a virtual machine it is the virtual CPUID.\n");
}

/*
 * Returns 0 to continue, 1 if --help was given, -1 after printing an error
 * message.
 */
static int parse_options(int argc, char **argv, const char **device,
			 unsigned long *cpu)
{
	static const struct option longopts[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		switch (opt) {
		case 'd':
			*device = optarg;
			break;
		case 'c':
			if (args_number("cpu", optarg, 0, CPU_MAX, cpu))
				return -1;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			return 1;
		default:
			return -1;
		}
	}
	if (optind < argc) {
		say("unexpected argument \"%s\"", argv[optind]);
		return -1;
	}
	return 0;
}

/* Returns a file descriptor, or -1 with @err set after printing an error message. */
static int open_msrs(unsigned long cpu, int *err)
{
	const char *advice = "";
	char path[32];
	int fd;

	*err = 0;
	snprintf(path, sizeof(path), "/dev/cpu/%lu/msr", cpu);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	*err = errno;
	if (cpu >= (unsigned long)sysconf(_SC_NPROCESSORS_CONF))
		advice = "; this machine has no such processor";
	else if (*err == ENOENT)
		advice = "; run \"modprobe msr\" to see the processor's MSRs";
	else if (*err == EACCES || *err == EPERM)
		advice = "; run this command as root to see the processor's MSRs";
	say("cannot open %s: %s%s", path, strerror(*err), advice);
	return -1;
}

/* Reads what the device offers; CPUID is as "drostectl run" passes it to a guest. */
static void open_offer(struct side *s)
{
	s->msrs = feature_msrs(s->fd);
	s->cpuid = cpuid_get(s->fd);
	if (s->cpuid)
		cpuid_fix(s->cpuid, 0, 1,
			  vm_cap(s->fd, KVM_CAP_TSC_DEADLINE_TIMER));
}

/* Reads an MSR for the verdict. */
static bool verdict_msr(void *ctx, uint32_t index, uint64_t *val)
{
	const struct side *s = ctx;
	struct value v = s->msr(s, index);

	*val = v.val;
	return v.state == KNOWN;
}

/* Whether the first processor's flags have a word. The kernel lists FRED if it uses it. */
static bool has_flag(const char *word)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	size_t len = strlen(word), room = 0;
	bool found = false;
	char *line = NULL;

	while (f && getline(&line, &room, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		for (char *at = line; !found && (at = strstr(at, word)); at += len)
			found = at[-1] == ' ' && isspace((unsigned char)at[len]);
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void judge(struct side *sides, int msr_error, struct verdict *v)
{
	struct side *processor = &sides[PROCESSOR];
	uint32_t leaf1_ecx = processor->leaf(processor, 1, 0).ecx;
	const struct machine_facts facts = {
		.has_vmx = leaf1_ecx >> 5 & 1,
		.in_guest = leaf1_ecx >> 31,
		.uses_fred = has_flag("fred"),
		.droste_loaded = !access("/sys/module/droste", F_OK),
		.kvm_loaded = !access("/sys/module/kvm_intel", F_OK),
		.device_opened = sides[OFFERED].fd >= 0,
		.msr_error = msr_error,
		.msr = verdict_msr,
		.ctx = processor,
	};

	verdict_reach(&facts, v);
}

static void print_verdict(const struct verdict *v)
{
	if (!json) {
		printf("\nVerdict: %s\n", verdict_sentence(v));
		for (unsigned int i = 0; i < v->nr_missing; i++)
			printf("  missing: %s\n", v->missing[i]);
		if (*v->advice)
			printf("  next: %s\n", v->advice);
		return;
	}
	json_open("verdict", '{');
	if (v->answer == NOT_KNOWN)
		json_string("can_run", NULL);
	else
		json_bool("can_run", v->answer == CAN_RUN);
	json_string("sentence", verdict_sentence(v));
	json_open("missing", '[');
	for (unsigned int i = 0; i < v->nr_missing; i++)
		json_string(NULL, v->missing[i]);
	json_close();
	json_string("next", *v->advice ? v->advice : NULL);
	json_close();
}

static void print_msrs(const struct side *sides)
{
	bool any = has_vmx(&sides[PROCESSOR]) || has_vmx(&sides[OFFERED]);

	if (json)
		json_open("msrs", '[');
	else if (!any)
		printf("\nVMX: the capability MSRs can be read neither from the processor nor from the device.\n");
	for (size_t i = 0; any && i < vmxcap_nr_msrs; i++)
		print_msr(sides, &vmxcap_msrs[i]);
	if (json)
		json_close();
}

static void print_all(const struct side *sides, const char *device,
		      const struct verdict *v)
{
	if (json) {
		json_open(NULL, '{');
		json_string("version", drostectl_version);
		json_string("device", device);
		json_bool("device_opened", sides[OFFERED].fd >= 0);
	} else {
		printf("%-46s %-18s %s\n", "", "processor", "offered");
	}
	print_features(sides);
	print_msrs(sides);
	print_verdict(v);
	if (json)
		json_close();
}

int cmd_info(int argc, char **argv)
{
	struct side sides[NR_SIDES] = {
		[PROCESSOR] = { .msr = processor_msr, .leaf = processor_leaf },
		[OFFERED] = { .msr = offered_msr, .leaf = offered_leaf },
	};
	const char *device = "/dev/droste";
	struct verdict v;
	unsigned long cpu = 0;
	int ret = parse_options(argc, argv, &device, &cpu), msr_error;

	if (ret > 0) {
		info_help();
		return 0;
	}
	if (ret < 0) {
		say("see \"drostectl info --help\" for the options");
		return STATUS_USAGE;
	}
	sides[PROCESSOR].fd = open_msrs(cpu, &msr_error);
	sides[OFFERED].fd = vm_open(device);
	if (sides[OFFERED].fd >= 0)
		open_offer(&sides[OFFERED]);

	judge(sides, msr_error, &v);
	print_all(sides, device, &v);

	ret = sides[OFFERED].cpuid ? 0 : STATUS_FAILED;
	free(sides[OFFERED].cpuid);
	free(sides[OFFERED].msrs);
	for (int i = 0; i < NR_SIDES; i++)
		if (sides[i].fd >= 0)
			close(sides[i].fd);
	return ret;
}
