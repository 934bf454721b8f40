// SPDX-License-Identifier: GPL-2.0
/* drostectl regs: the registers of a vCPU's L1 or L2, with flags and access rights spelt out. */
#include "regs.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "json.h"
#include "look.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"
#include "vmcsbits.h"

void regs_help(void)
{
	printf("Usage: drostectl regs [OPTION]...\n"
	       "Print the registers of a running virtual machine's vCPU. Needs root.\n"
	       "While L2 runs, L1 waits at its last VM entry and has some registers in common with L2; the output says which.\n"
	       "\n"
	       "  --level L       1 for L1, 2 for L2 (the level that runs)\n"
	       LOOK_OPTIONS
	       "  --vcpu N        the vCPU (0)\n"
	       "  --json          print one JSON object\n"
	       "  -h, --help      print this text\n");
}

/* By number, as in struct droste_regs. */
static const char *const gprs[16] = {
	"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
};

static const char *const segments[8] = { "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR" };

#define NR_SPELT	4

/* The registers whose bits have names, and the fields of a VMCS whose bits have the same. */
static int spelt(const struct droste_regs *r, int i, const char **name, uint64_t *val)
{
	const struct { const char *name; uint64_t val; int field; } rows[NR_SPELT] = {
		{ "RFLAGS", r->rflags, VMCS12_I_GUEST_RFLAGS },
		{ "CR0", r->cr0, VMCS12_I_GUEST_CR0 },
		{ "CR4", r->cr4, VMCS12_I_GUEST_CR4 },
		{ "EFER", r->efer, VMCS12_I_GUEST_IA32_EFER },
	};

	*name = rows[i].name;
	*val = rows[i].val;
	return rows[i].field;
}

/* A register's name and value; registers that are 0 are dim. */
static void print_reg(const char *name, uint64_t val)
{
	printf("%-7s %s0x%016" PRIx64 "%s", name, val ? BOLD : DIM, val, PLAIN);
}

static void print_pair(const char *a, uint64_t a_val, const char *b, uint64_t b_val)
{
	print_reg(a, a_val);
	printf("    ");
	print_reg(b, b_val);
	printf("\n");
}

static void print_spelt(const struct droste_regs *r)
{
	for (int i = 0; i < NR_SPELT; i++) {
		const char *name;
		char text[400];
		uint64_t val;
		int field = spelt(r, i, &name, &val);

		vmcs_spell(text, sizeof(text), field, val);
		print_reg(name, val);
		printf("%s%s\n", *text ? "  " : "", text);
	}
}

static void print_segments(const struct droste_regs *r)
{
	char text[200];

	printf("\n%s%-7s %-8s  %-18s  %-10s  %s%s\n", DIM, "", "SELECTOR", "BASE", "LIMIT", "ACCESS RIGHTS", PLAIN);
	for (int i = 0; i < 8; i++) {
		const struct droste_segment *s = &r->seg[i];

		vmcs_spell(text, sizeof(text), VMCS12_I_GUEST_ES_AR_BYTES, s->rights);
		printf("%-7s 0x%04x    0x%016" PRIx64 "  0x%08x  0x%05x  %s\n", segments[i], s->selector, (uint64_t)s->base, s->limit, s->rights,
		       text);
	}
	printf("%-7s %-8s  0x%016" PRIx64 "  0x%08x\n", "GDTR", "", (uint64_t)r->gdtr_base, r->gdtr_limit);
	printf("%-7s %-8s  0x%016" PRIx64 "  0x%08x\n", "IDTR", "", (uint64_t)r->idtr_base, r->idtr_limit);
}

static void print_regs(const struct droste_regs *r)
{
	if (r->flags & DROSTE_REGS_SHARED)
		printf("Registers of L1, which waits at its last VM entry while L2 runs.\n"
		       "%sRAX to R15 except RSP, CR2, DR0 to DR3 and DR6 are shared: they have L2's values now.%s\n\n", YELLOW, PLAIN);
	else
		printf("Registers of L%u, which runs.\n\n", r->level);
	print_reg("RIP", r->rip);
	printf("\n");
	print_spelt(r);
	printf("\n");
	for (int i = 0; i < 8; i++)
		print_pair(gprs[i], r->gpr[i], gprs[i + 8], r->gpr[i + 8]);
	printf("\n");
	print_pair("CR2", r->cr2, "CR3", r->cr3);
	if (r->flags & DROSTE_REGS_NO_CR8)
		printf("CR8     not known: the host does not have L1's virtual-APIC page now\n");
	else
		printf("CR8     %s0x%" PRIx64 "%s\n", r->cr8 ? BOLD : DIM, (uint64_t)r->cr8, PLAIN);
	print_pair("DR0", r->dr[0], "DR1", r->dr[1]);
	print_pair("DR2", r->dr[2], "DR3", r->dr[3]);
	print_pair("DR6", r->dr6, "DR7", r->dr7);
	print_segments(r);
}

/* A member whose name is that of a register, in lower case. */
static void json_reg(const char *name, uint64_t val)
{
	char key[16], text[24];
	size_t i = 0;

	for (; name[i] && i < sizeof(key) - 1; i++)
		key[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 'a' - 'A' : name[i];
	key[i] = 0;
	snprintf(text, sizeof(text), "%#" PRIx64, val);
	json_string(key, text);
}

static void json_segments(const struct droste_regs *r)
{
	json_open("segments", '{');
	for (int i = 0; i < 8; i++) {
		json_open(segments[i], '{');
		json_reg("selector", r->seg[i].selector);
		json_reg("base", r->seg[i].base);
		json_reg("limit", r->seg[i].limit);
		json_reg("rights", r->seg[i].rights);
		json_close();
	}
	json_close();
	json_open("gdtr", '{');
	json_reg("base", r->gdtr_base);
	json_reg("limit", r->gdtr_limit);
	json_close();
	json_open("idtr", '{');
	json_reg("base", r->idtr_base);
	json_reg("limit", r->idtr_limit);
	json_close();
}

static void json_regs(const struct droste_regs *r)
{
	static const char *const drs[4] = { "DR0", "DR1", "DR2", "DR3" };

	json_open(NULL, '{');
	json_count("vcpu", r->vcpu);
	json_count("level", r->level);
	json_bool("in_l2", r->flags & DROSTE_REGS_IN_L2);
	json_bool("shared", r->flags & DROSTE_REGS_SHARED);
	json_reg("RIP", r->rip);
	for (int i = 0; i < NR_SPELT; i++) {
		const char *name;
		uint64_t val;

		spelt(r, i, &name, &val);
		json_reg(name, val);
	}
	for (int i = 0; i < 16; i++)
		json_reg(gprs[i], r->gpr[i]);
	json_reg("CR2", r->cr2);
	json_reg("CR3", r->cr3);
	if (!(r->flags & DROSTE_REGS_NO_CR8))
		json_reg("CR8", r->cr8);
	for (int i = 0; i < 4; i++)
		json_reg(drs[i], r->dr[i]);
	json_reg("DR6", r->dr6);
	json_reg("DR7", r->dr7);
	json_segments(r);
	json_close();
}

void regs_show(const struct droste_regs *r, bool json)
{
	if (json)
		json_regs(r);
	else
		print_regs(r);
}

/* Returns 0, or -1 after an error message. */
static int ask(int fd, unsigned long vcpu, unsigned long level, struct droste_regs *r)
{
	struct droste_vcpu_info info;

	if (look_vcpu(fd, vcpu, &info))
		return -1;
	*r = (struct droste_regs) { .vcpu = vcpu, .level = level };
	if (!ioctl(fd, DROSTE_GET_REGS_ALL, r))
		return 0;
	if (errno == ENOENT)
		say("vCPU %lu does not run L2 now; try again, or look at VMCS12: \"drostectl vmcs 12\"", vcpu);
	else if (errno == ENOTTY)
		say("the module that is loaded is older than drostectl, and does not tell registers");
	else if (errno == ESRCH)
		say("the VM's process has ended");
	else
		say("vCPU %lu: %s", vcpu, strerror(errno));
	return -1;
}

int cmd_regs(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "level", required_argument, NULL, 'l' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	struct look_at at = { .vm = 0 };
	struct droste_vm_info vm;
	unsigned long level = 0;
	struct droste_regs r;
	bool json = false;
	int opt, fd, ret;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			regs_help();
			return 0;
		}
		if (opt == 'j')
			json = true;
		else if (opt == 'l' ? args_number("level", optarg, 1, 2, &level) : look_option(&at, opt, optarg))
			return STATUS_USAGE;
	}
	if (optind < argc) {
		say("unexpected argument \"%s\"; see \"drostectl regs --help\"", argv[optind]);
		return STATUS_USAGE;
	}
	fd = look_open(&at, &vm);
	if (fd < 0)
		return STATUS_FAILED;
	ret = ask(fd, at.vcpu, level, &r);
	close(fd);
	if (ret)
		return STATUS_FAILED;
	paint_begin();
	if (!json)
		printf("VM %u (%s, process %d), vCPU %lu\n", vm.number, vm.name, vm.pid, at.vcpu);
	regs_show(&r, json);
	return 0;
}
