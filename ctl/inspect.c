// SPDX-License-Identifier: GPL-2.0
/* drostectl ps and vmcs: which VMs run on this host, and what is in their VMCSs. */
#include "inspect.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "look.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"
#include "vmcsbits.h"

/* --- ps --- */

void ps_help(void)
{
	printf("Usage: drostectl ps [--json]\n"
	       "List the virtual machines of Droste on this host, whoever made them. Needs root.\n"
	       "\n"
	       "  --json      print a JSON array\n"
	       "  -h, --help  print this text\n");
}

static const char *state_name(const struct droste_vcpu_info *info)
{
	if (info->mp_state == 3)	/* KVM_MP_STATE_HALTED */
		return "halted";
	if (info->mp_state)
		return "waits for INIT or SIPI";
	return info->flags & DROSTE_VCPU_RUNS ? "runs" : "stopped";
}

static const char *level_name(const struct droste_vcpu_info *info)
{
	return info->level == 2 ? "L2" : info->flags & DROSTE_VCPU_VMX ? "L1, in VMX operation" : "L1";
}

static int ps_vcpus(int fd, const struct droste_vm_info *vm, bool json)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		unsigned long long exits = 0, from_l2 = 0;
		struct droste_vcpu_info info;

		if (look_vcpu(fd, i, &info))
			return -1;
		for (int r = 0; r < DROSTE_NR_EXIT_REASONS; r++) {
			exits += info.exits.exits[r];
			from_l2 += info.exits.from_l2[r];
		}
		if (!json) {
			printf("%6s  vCPU %-4u %-8s %-22s %14llu %14llu %14llu\n", "", i, state_name(&info), level_name(&info),
			       exits, from_l2, (unsigned long long)info.entries);
			continue;
		}
		json_open(NULL, '{');
		json_count("vcpu", i);
		json_count("apic_id", info.id);
		json_count("level", info.level);
		json_bool("vmx_operation", info.flags & DROSTE_VCPU_VMX);
		json_string("state", state_name(&info));
		json_count("exits", exits);
		json_count("exits_from_l2", from_l2);
		json_count("l1_entries", info.entries);
		json_close();
	}
	return 0;
}

static int ps_vm(int fd, const struct droste_vm_info *vm, bool json)
{
	int ret;

	if (!json) {
		printf("%s%6u%s  %-7d %-15s %4u vCPU%s %6llu MiB in %u slots\n", BOLD, vm->number, PLAIN, vm->pid, vm->name,
		       vm->nr_vcpus, vm->nr_vcpus == 1 ? " " : "s", (unsigned long long)vm->memory >> 20, vm->nr_slots);
		return ps_vcpus(fd, vm, false);
	}
	json_open(NULL, '{');
	json_count("vm", vm->number);
	json_count("pid", vm->pid);
	json_string("process", vm->name);
	json_count("memory", vm->memory);
	json_open("vcpus", '[');
	ret = ps_vcpus(fd, vm, true);
	json_close();
	json_close();
	return ret;
}

int cmd_ps(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	struct droste_vm_info vm = { .number = 0 };
	bool json = false;
	int opt, fd, n = 0, ret = 0;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			ps_help();
			return 0;
		}
		if (opt != 'j')
			return STATUS_USAGE;
		json = true;
	}
	if (optind < argc) {
		say("unexpected argument \"%s\"; see \"drostectl ps --help\"", argv[optind]);
		return STATUS_USAGE;
	}
	paint_begin();
	while ((fd = look_next(&vm)) >= 0) {
		if (vm.flags & DROSTE_VM_CLOSED) {
			close(fd);
			continue;
		}
		if (!n++) {
			if (json)
				json_open(NULL, '[');
			else
				printf("%s%6s  %-7s %-29s %-12s %14s %14s %14s%s\n", DIM, "VM", "PID", "PROCESS", "", "EXITS", "FROM L2",
				       "L2 ENTRIES", PLAIN);
		}
		ret |= ps_vm(fd, &vm, json);
		close(fd);
	}
	if (fd < -1 && !n)
		return STATUS_FAILED;
	if (!n && json)
		json_open(NULL, '[');
	if (json)
		json_close();
	else if (!n)
		printf("No virtual machine of Droste runs on this host.\n");
	return ret || fd < -1 ? STATUS_FAILED : 0;
}

/* --- vmcs --- */

void vmcs_help(void)
{
	printf("Usage: drostectl vmcs {01|12|02|shadow|--gpa ADDRESS} [OPTION]...\n"
	       "Print all fields of a VMCS of a running virtual machine. Needs root.\n"
	       "  01      L0's VMCS for L1\n"
	       "  12      L1's VMCS for L2, its current one; letters mark fields that were collected elsewhere or that L1 has written\n"
	       "  02      the VMCS that L2 really runs with, merged from these two\n"
	       "  shadow  the hardware's shadow VMCS, which L1 accesses without exits\n"
	       "\n"
	       "  --gpa ADDRESS   one of L1's that is not current, at this address in L1's memory\n"
	       LOOK_OPTIONS
	       "  --vcpu N        the vCPU (0)\n"
	       "  --field NAME    only fields whose name contains this, such as EFER\n"
	       "  --json          print JSON, which \"drostectl audit\" reads\n"
	       "  -h, --help      print this text\n");
}

/* The SDM's groups of fields (3C 25.3), by class and width of the encoding. */
static const char *group_of(int field)
{
	static const char *const groups[] = { "Controls", "Exit information", "Guest state", "Host state" };

	return groups[(vmcs12_fields[field].enc >> 10) & 3];
}

/* What is known of a field besides its value. */
static const struct {
	uint32_t flag;
	char letter;
	const char *word, *legend;
} marks[] = {
	{ DROSTE_FIELD_STALE, 'S', "stale", "Droste's copy of VMCS12 had an older value, and this one was collected for you" },
	{ DROSTE_FIELD_DIRTY, 'D', "dirty", "L1 has written to the field's group since its last entry, or may have; the next entry examines it" },
	{ DROSTE_FIELD_GATED, 'G', "gated", "this L1 does not have the field: its VMREAD fails" },
	{ DROSTE_FIELD_HOST, 'H', "host", "host state" },
};

#define NR_MARKS	(sizeof(marks) / sizeof(marks[0]))

static void print_letters(uint32_t flags)
{
	char text[NR_MARKS + 1];
	int n = 0;

	for (size_t i = 0; i < NR_MARKS; i++)
		if (flags & marks[i].flag)
			text[n++] = marks[i].letter;
	text[n] = '\0';
	printf("%s%-3s%s ", n ? YELLOW : "", text, n ? PLAIN : "");
}

static void print_legend(uint32_t flags)
{
	const char *before = "\n";

	for (size_t i = 0; i < NR_MARKS; i++) {
		if (!(flags & marks[i].flag))
			continue;
		printf("%s%c  %s\n", before, marks[i].letter, marks[i].legend);
		before = "";
	}
}

static void json_marks(const struct look_vmcs *v, const char *part)
{
	json_open("marks", '{');
	for (int i = 0; i < NR_VMCS12_FIELDS; i++) {
		char words[40] = "";

		if (!v->file.known[i] || v->hidden[i] || (part && !strcasestr(vmcs12_fields[i].name, part)))
			continue;
		for (size_t m = 0; m < NR_MARKS; m++)
			if (v->marks[i] & marks[m].flag)
				snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", *words ? " " : "", marks[m].word);
		if (*words)
			json_string(vmcs12_fields[i].name, words);
	}
	json_close();
}

static void print_field(const struct look_vmcs *v, int field)
{
	static const int digits[] = {
		[VMCS12_WIDTH_16] = 4, [VMCS12_WIDTH_32] = 8, [VMCS12_WIDTH_64] = 16, [VMCS12_WIDTH_NATURAL] = 16,
	};
	uint64_t val = vmcs12_get(&v->file.v, &vmcs12_fields[field]);
	char spelt[1200];

	print_letters(v->marks[field]);
	if (v->hidden[field]) {
		printf("%-32s %shidden: needs CAP_SYSLOG%s\n", vmcs12_fields[field].name, DIM, PLAIN);
		return;
	}
	vmcs_spell(spelt, sizeof(spelt), field, val);
	printf("%-32s %s0x%0*" PRIx64 "%s%*s%s%s\n", vmcs12_fields[field].name, val ? BOLD : DIM,
	       digits[vmcs12_fields[field].width], val, PLAIN, *spelt ? 16 - digits[vmcs12_fields[field].width] : 0, "", *spelt ? "  " : "", spelt);
}

static void print_fields(const struct look_vmcs *v, const char *part)
{
	uint32_t flags = 0;

	for (int type = 0; type < 4; type++) {
		bool begun = false;

		for (int i = 0; i < NR_VMCS12_FIELDS; i++) {
			if (((vmcs12_fields[i].enc >> 10) & 3) != type || !v->file.known[i] ||
			    (part && !strcasestr(vmcs12_fields[i].name, part)))
				continue;
			if (!begun)
				printf("\n%s\n", group_of(i));
			begun = true;
			flags |= v->marks[i];
			print_field(v, i);
		}
	}
	print_legend(flags);
}

static const struct look_which in_memory = { "at", DROSTE_VMCS_MEMORY, "a VMCS in L1's memory" };

/* One JSON object. */
static void json_fields(const struct look_vmcs *v, const struct look_which *which, const char *part)
{
	char text[24];

	json_open(NULL, '{');
	json_string("vmcs", which->name);
	if (v->file.vmptr != ~0ULL) {
		snprintf(text, sizeof(text), "%#" PRIx64, v->file.vmptr);
		json_string("vmptr", text);
	}
	if (which == &in_memory) {
		json_bool("current", v->flags & DROSTE_VMCS_CURRENT);
		json_bool("launched", v->flags & DROSTE_VMCS_LAUNCHED);
		json_bool("for_l2", v->flags & DROSTE_VMCS_FOR_L2);
	} else {
		json_bool("in_l2", v->in_l2);
	}
	json_open("fields", '{');
	for (int i = 0; i < NR_VMCS12_FIELDS; i++) {
		if (!v->file.known[i] || v->hidden[i] || (part && !strcasestr(vmcs12_fields[i].name, part)))
			continue;
		snprintf(text, sizeof(text), "%#llx", (unsigned long long)vmcs12_get(&v->file.v, &vmcs12_fields[i]));
		json_string(vmcs12_fields[i].name, text);
	}
	json_close();
	json_marks(v, part);
	json_close();
}

/* Where a VMCS is, and what runs. */
static void print_place(const struct look_vmcs *v, const struct look_which *which)
{
	if (v->file.vmptr != ~0ULL)
		printf("at %#" PRIx64 " in L1's memory\n", v->file.vmptr);
	if (which != &in_memory) {
		printf("The vCPU runs %s.\n", v->in_l2 ? "L2" : "L1");
		return;
	}
	printf("Its launch state is %s.\n", v->flags & DROSTE_VMCS_LAUNCHED ? "launched" : "clear");
	if (v->flags & DROSTE_VMCS_FOR_L2)
		printf("It is a shadow VMCS, which L1 gives to L2.\n");
	if (v->flags & DROSTE_VMCS_CURRENT)
		printf("%sIt is current on a vCPU: memory has old values, \"drostectl vmcs 12\" those of now.%s\n", RED, PLAIN);
}

void vmcs_show(const struct look_vmcs *v, const struct look_which *which, const char *part, bool json)
{
	if (json) {
		json_fields(v, which, part);
		return;
	}
	print_place(v, which);
	print_fields(v, part);
}

static int read_vmcs(const struct look_at *at, const struct look_which *which, uint64_t gpa, struct droste_vm_info *vm,
		     struct look_vmcs *v)
{
	int fd = look_open(at, vm), ret;

	if (fd < 0)
		return -1;
	ret = which == &in_memory ? look_memory(fd, at->vcpu, gpa, v) : look_vmcs(fd, at->vcpu, which, v);
	close(fd);
	return ret;
}

int cmd_vmcs(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "field", required_argument, NULL, 'f' }, { "gpa", required_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	static struct look_vmcs v;
	const struct look_which *which = NULL;
	struct look_at at = { .vm = 0 };
	struct droste_vm_info vm;
	const char *part = NULL;
	bool json = false;
	uint64_t gpa = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			vmcs_help();
			return 0;
		case 'f':
			part = optarg;
			break;
		case 'g':
			which = &in_memory;
			if (args_address("gpa", optarg, &gpa))
				return STATUS_USAGE;
			break;
		case 'j':
			json = true;
			break;
		default:
			if (look_option(&at, opt, optarg))
				return STATUS_USAGE;
		}
	}
	if (optind + !which != argc) {
		say("name one VMCS: 01, 12, 02, shadow, or --gpa ADDRESS; see \"drostectl vmcs --help\"");
		return STATUS_USAGE;
	}
	if (!which)
		which = look_which(argv[optind]);
	if (!which)
		return STATUS_USAGE;
	if (read_vmcs(&at, which, gpa, &vm, &v))
		return STATUS_FAILED;
	paint_begin();
	if (json) {
		vmcs_show(&v, which, part, true);
		return 0;
	}
	printf("%s, of vCPU %lu of VM %u (%s, process %d)\n", which->title, at.vcpu, vm.number, vm.name, vm.pid);
	vmcs_show(&v, which, part, false);
	return 0;
}
