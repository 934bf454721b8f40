// SPDX-License-Identifier: GPL-2.0
/* drostectl diff: two VMCSs of a vCPU side by side, and whose each bit of VMCS02's controls is. */
#include "diff.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "look.h"
#include "outcome.h"
#include "owner.h"
#include "paint.h"
#include "say.h"
#include "vmcsbits.h"

void diff_help(void)
{
	printf("Usage: drostectl diff A B [OPTION]...\n"
	       "Compare two VMCSs of a vCPU: 01, 12, 02 or shadow; see \"drostectl vmcs --help\". Needs root.\n"
	       "Each may also be a file that \"drostectl audit\" reads, such as the output of \"drostectl vmcs --json\".\n"
	       "For 12 and 02, each control bit is shown with its owner: L0's, L1's, either (set if one of them\n"
	       "has it), both (set if both have it), always, never, mode (L2's); and whether the merge explains it.\n"
	       "\n"
	       LOOK_OPTIONS
	       "  --vcpu N        the vCPU (0)\n"
	       "  --controls      only control words\n"
	       "  --all           equal fields and bits too\n"
	       "  --json          print one JSON object\n"
	       "  -h, --help      print this text\n");
}

struct diff {
	const struct look_which *which[2];	/* NULL: it is in a file */
	const char *name[2];			/* as the user gave it */
	struct look_vmcs v[2];
	bool owners, controls, all, json;
	int unexplained;
	int alone[2];				/* fields that only one of the two has */
};

static uint64_t value(const struct look_vmcs *v, int field)
{
	return vmcs12_get(&v->file.v, &vmcs12_fields[field]);
}

/* The windows that L0 opens for itself are set behind the merge (kmod/vmx/inject.c). */
static uint32_t beyond_merge(int field)
{
	if (field == VMCS12_I_CPU_BASED_VM_EXEC_CONTROL)
		return CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING;
	return field == VMCS12_I_PIN_BASED_VM_EXEC_CONTROL ? PIN_BASED_VMX_PREEMPTION_TIMER : 0;
}

static void show_bit(struct diff *d, int field, int bit, bool explained)
{
	int one = owner_l0(field, d->v[1].merged) >> bit & 1, a = value(&d->v[0], field) >> bit & 1, b = value(&d->v[1], field) >> bit & 1;
	enum owner owner = owner_of(field, bit, d->v[1].merged, &d->v[0].file.v);
	char name[80];

	vmcs_spell_bits(name, sizeof(name), field, 1ull << bit);
	if (!d->json) {
		printf("    %s%2d%s  %-38s %-7s %d %d %s %d%s%s%s\n", DIM, bit, PLAIN, name, owner_name(owner), one, a, "->", b,
		       explained ? "" : RED, explained ? "" : "  not explained by the merge", explained ? "" : PLAIN);
		return;
	}
	json_open(NULL, '{');
	json_string("bit", name);
	json_string("owner", owner_name(owner));
	json_bool("l0", one);
	json_bool("vmcs12", a);
	json_bool("vmcs02", b);
	json_bool("explained", explained);
	json_close();
}

static void show_owners(struct diff *d, int field)
{
	uint32_t want = owner_merged(field, d->v[1].merged, &d->v[0].file.v,
				     value(&d->v[1], VMCS12_I_VM_ENTRY_CONTROLS) & VM_ENTRY_IA32E_MODE);
	uint32_t odd = (want ^ value(&d->v[1], field)) & ~beyond_merge(field);

	if (d->json)
		json_open("bits", '[');
	for (int bit = 0; bit < 32; bit++) {
		uint64_t some = owner_l0(field, d->v[1].merged) | value(&d->v[0], field) | value(&d->v[1], field);
		bool differs = (value(&d->v[0], field) ^ value(&d->v[1], field)) >> bit & 1;

		if (odd >> bit & 1 || differs || (d->all && some >> bit & 1))
			show_bit(d, field, bit, !(odd >> bit & 1));
	}
	if (d->json)
		json_close();
	d->unexplained += !!odd;
}

/* The bits of a control word in which the two differ. */
static void show_bits(const struct diff *d, int field)
{
	uint64_t a = value(&d->v[0], field), b = value(&d->v[1], field);
	char name[80];

	if (!owner_word(field) && !vmcs_control_msr(field))
		return;
	for (int bit = 0; bit < 64; bit++) {
		if (!((a ^ b) >> bit & 1))
			continue;
		vmcs_spell_bits(name, sizeof(name), field, 1ull << bit);
		printf("    %s%2d%s  %-46s %d %s %d\n", DIM, bit, PLAIN, name, (int)(a >> bit & 1), "->", (int)(b >> bit & 1));
	}
}

static void show_value(const struct diff *d, const char *key, const struct look_vmcs *v, int field)
{
	char text[24];

	if (v->hidden[field])
		snprintf(text, sizeof(text), "hidden");
	else
		snprintf(text, sizeof(text), "%#" PRIx64, value(v, field));
	if (d->json)
		json_string(key, text);
	else
		printf(" %20s", text);
}

static void show_field(struct diff *d, int field)
{
	bool owners = d->owners && owner_word(field);

	if (d->v[0].file.known[field] != d->v[1].file.known[field])
		d->alone[d->v[1].file.known[field]]++;
	if (!d->v[0].file.known[field] || !d->v[1].file.known[field] || (d->controls && !owner_word(field)))
		return;
	if (!d->all && value(&d->v[0], field) == value(&d->v[1], field) && !d->v[0].hidden[field] && !d->v[1].hidden[field])
		return;
	if (d->json)
		json_open(vmcs12_fields[field].name, '{');
	else
		printf("%s%-32s%s", owners ? BOLD : "", vmcs12_fields[field].name, owners ? PLAIN : "");
	for (int i = 0; i < 2; i++) {
		char key[16];

		if (d->which[i])
			snprintf(key, sizeof(key), "vmcs%s", d->which[i]->name);
		else
			snprintf(key, sizeof(key), "%c", "ab"[i]);
		show_value(d, key, &d->v[i], field);
	}
	if (!d->json)
		printf("\n");
	if (owners)
		show_owners(d, field);
	else if (!d->json && !d->v[0].hidden[field] && !d->v[1].hidden[field])
		show_bits(d, field);
	if (d->json)
		json_close();
}

/* The end of a name that is too long for its column. */
static const char *heading(const char *name)
{
	size_t len = strlen(name);

	return len > 20 ? name + len - 20 : name;
}

static void show(struct diff *d)
{
	if (d->json) {
		json_open(NULL, '{');
	} else {
		printf("%s%-32s %20s %20s%s\n", DIM, "", heading(d->name[0]), heading(d->name[1]), PLAIN);
		if (d->owners)
			printf("%s    bit %-37s owner   L0 12 -> 02%s\n", DIM, "of a control word", PLAIN);
	}
	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		show_field(d, i);
	if (d->json)
		json_close();
	else if (d->owners)
		printf(d->unexplained ? "%d control words have bits that the merge does not explain.\n" :
		       "The merge explains all control bits.\n", d->unexplained);
	for (int i = 0; i < 2 && !d->json; i++)
		if (d->alone[i])
			printf("%d fields are in %s only.\n", d->alone[i], d->name[i]);
}

/* Whether the merge explains all control bits. */
static bool consistent(const struct diff *d)
{
	bool lma = value(&d->v[1], VMCS12_I_VM_ENTRY_CONTROLS) & VM_ENTRY_IA32E_MODE;

	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (owner_word(i) && (owner_merged(i, d->v[1].merged, &d->v[0].file.v, lma) ^ value(&d->v[1], i)) & ~beyond_merge(i))
			return false;
	return true;
}

static int read_once(struct diff *d, int fd, unsigned long vcpu)
{
	for (int i = 0; i < 2; i++)
		if (d->which[i] && look_vmcs(fd, vcpu, d->which[i], &d->v[i]))
			return -1;
	return 0;
}

static bool is_vmcs_name(const char *name)
{
	for (const struct look_which *w = look_whichs; w->name; w++)
		if (!strcmp(w->name, name))
			return true;
	return false;
}

/* Takes the two words of the command line: names of VMCSs, or files, which are read now. Returns an exit status. */
static int take_names(struct diff *d, char **names)
{
	for (int i = 0; i < 2; i++) {
		d->name[i] = names[i];
		/* A word that is no file was meant to be a VMCS. */
		if (is_vmcs_name(names[i]) || (access(names[i], F_OK) && strcmp(names[i], "-"))) {
			d->which[i] = look_which(names[i]);
			if (!d->which[i])
				return STATUS_USAGE;
		} else if (vmcs_file_read(&d->v[i].file, names[i], 0)) {
			return STATUS_USAGE;
		}
	}
	d->owners = d->which[0] && d->which[1] && d->which[0]->which == DROSTE_VMCS12 && d->which[1]->which == DROSTE_VMCS02;
	return 0;
}

/* The VMCSs are read one after the other. If L1 has changed one meanwhile, they do not fit: try again. */
static int read_all(struct diff *d, int fd, unsigned long vcpu)
{
	int tries = 20, ret;

	do {
		ret = read_once(d, fd, vcpu);
	} while (!ret && d->owners && !consistent(d) && --tries);
	return ret;
}

static int read_vcpu(struct diff *d, const struct look_at *at)
{
	struct droste_vm_info vm;
	int fd = look_open(at, &vm), ret;

	if (fd < 0)
		return -1;
	ret = read_all(d, fd, at->vcpu);
	close(fd);
	return ret;
}

int cmd_diff(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "controls", no_argument, NULL, 'C' }, { "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' }, { }
	};
	struct look_at at = { .vm = 0 };
	static struct diff d;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'h':
			diff_help();
			return 0;
		case 'C':
			d.controls = true;
			break;
		case 'a':
			d.all = true;
			break;
		case 'j':
			d.json = true;
			break;
		default:
			if (look_option(&at, opt, optarg))
				return STATUS_USAGE;
		}
	}
	if (optind + 2 != argc) {
		say("name two VMCSs, such as 12 02, or files; see \"drostectl diff --help\"");
		return STATUS_USAGE;
	}
	ret = take_names(&d, argv + optind);
	if (ret)
		return ret;
	if ((d.which[0] || d.which[1]) && read_vcpu(&d, &at))
		return STATUS_FAILED;
	paint_begin();
	show(&d);
	return 0;
}
