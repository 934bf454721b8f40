// SPDX-License-Identifier: GPL-2.0
/* drostectl ept: one address through EPT12, the memory slots, EPT01 and EPT02, and what accesses do, as the module judges. */
#include "ept.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "ept/format.h"
#include "json.h"
#include "look.h"
#include "outcome.h"
#include "paint.h"
#include "say.h"

#define SLOT_LOGGED	1	/* KVM_MEM_LOG_DIRTY_PAGES */
#define SLOT_READONLY	2	/* KVM_MEM_READONLY */

void ept_help(void)
{
	printf("Usage: drostectl ept ADDRESS [OPTION]...\n"
	       "Follow a guest-physical address of L2 through L1's tables, the memory slots and L0's tables, entry by entry,\n"
	       "and tell what a read, a write and a fetch would do. Nothing changes by looking. Needs root.\n"
	       "\n"
	       "  --l1            the address is one of L1; so it is without the option if L1 has no VMCS\n"
	       LOOK_OPTIONS
	       "  --vcpu N        the vCPU (0)\n"
	       "  --json          print one JSON object\n"
	       "  -h, --help      print this text\n");
}

static const char *const kinds[] = { "read", "write", "fetch" };

/* The rights in an entry, or in bits 5:3 of an exit qualification shifted down. */
static const char *rights_text(uint64_t entry)
{
	static const char *const texts[] = {
		"nothing", "read", "write", "read, write", "execute", "read, execute", "write, execute", "read, write, execute",
	};

	return texts[entry & EPT_RWX];
}

static const char *memtype_text(uint64_t entry)
{
	static const char *const texts[] = {
		"uncacheable", "write-combining", "type 2", "type 3", "write-through", "write-protected", "write-back", "type 7",
	};

	return texts[(entry & EPT_MEMTYPE_MASK) >> EPT_MEMTYPE_SHIFT];
}

enum { ENTRY_TABLE, ENTRY_PAGE, ENTRY_NOTHING, ENTRY_MISCONFIGURED, ENTRY_NO_MEMORY, ENTRY_NOT_NOW };

/* What entry @i of the walk is. The module says how the walk ended. */
static int entry_is(const struct droste_ept_tables *t, unsigned int i)
{
	if (i + 1 < t->nr)
		return ENTRY_TABLE;
	if (t->flags & DROSTE_EPT_LEAF)
		return ENTRY_PAGE;
	if (t->flags & DROSTE_EPT_NO_MEMORY)
		return ENTRY_NO_MEMORY;
	if (t->flags & DROSTE_EPT_NOT_NOW)
		return ENTRY_NOT_NOW;
	return t->entry[i] & EPT_RWX ? ENTRY_MISCONFIGURED : ENTRY_NOTHING;
}

static const char *entry_text(int is)
{
	static const char *const texts[] = {
		[ENTRY_TABLE] = "table", [ENTRY_PAGE] = "page", [ENTRY_NOTHING] = "not present",
		[ENTRY_MISCONFIGURED] = "misconfigured", [ENTRY_NO_MEMORY] = "L1 has no memory here",
		[ENTRY_NOT_NOW] = "the host does not have this page now",
	};

	return texts[is];
}

/* Accessed and dirty flags as a number below 4. */
static unsigned int flags_of(uint64_t entry)
{
	return (entry & (EPT_ACCESSED | EPT_DIRTY)) / EPT_ACCESSED;
}

static const char *flags_text(uint64_t entry)
{
	static const char *const texts[] = { "", ", accessed", ", dirty", ", accessed, dirty" };

	return texts[flags_of(entry)];
}

static void show_entry(const struct droste_ept_tables *t, unsigned int i)
{
	static const char *const sizes[] = { "", "4 KiB", "2 MiB", "1 GiB", "512 GiB" };
	int level = EPT_ROOT_LEVEL - i, is = entry_is(t, i);
	uint64_t entry = t->entry[i];
	char at[24] = "hidden";

	if (!(t->flags & DROSTE_EPT_HIDDEN))
		snprintf(at, sizeof(at), "%#" PRIx64, (uint64_t)t->at[i]);
	printf("  %5d  %-14s ", level, at);
	if (is == ENTRY_NO_MEMORY || is == ENTRY_NOT_NOW) {
		printf("%-18s  %s%s%s\n", "-", RED, entry_text(is), PLAIN);
		return;
	}
	printf("%s0x%016" PRIx64 "%s  ", entry & EPT_RWX ? BOLD : DIM, entry, PLAIN);
	switch (is) {
	case ENTRY_TABLE:
		printf("table: %s%s\n", rights_text(entry), entry & EPT_ACCESSED ? ", accessed" : "");
		break;
	case ENTRY_PAGE:
		printf("%s page: %s; %s%s%s\n", sizes[level], rights_text(entry), memtype_text(entry),
		       entry & EPT_IPAT ? " whatever the PAT says" : "", flags_text(entry));
		break;
	default:
		printf("%s%s%s\n", RED, entry_text(is), PLAIN);
	}
}

static void show_tables(const struct droste_ept_tables *t, const char *title)
{
	if (!(t->flags & DROSTE_EPT_EXISTS))
		return;
	printf("\n%s, EPTP ", title);
	if (t->flags & DROSTE_EPT_HIDDEN)
		printf("hidden: needs CAP_SYSLOG");
	else
		printf("%#" PRIx64, (uint64_t)t->eptp);
	printf("%s\n", t->eptp & EPTP_AD ? ", with accessed and dirty flags" : "");
	if (t->nr)
		printf("%s  LEVEL  %-14s VALUE%s\n", DIM, "ENTRY AT", PLAIN);
	else
		printf("  no entry: the address is beyond four levels\n");
	for (unsigned int i = 0; i < t->nr; i++)
		show_entry(t, i);
}

static void show_slot(const struct droste_ept *e)
{
	if (!(e->flags & DROSTE_EPT_TRANSLATED))
		return;
	printf("\nL1 guest-physical address %s%#" PRIx64 "%s", BOLD, (uint64_t)e->l1_gpa, PLAIN);
	if (!(e->flags & DROSTE_EPT_IN_SLOT)) {
		printf(", where there is no memory%s\n", e->flags & DROSTE_EPT_APIC_PAGE ? ": L1's APIC-access page" : "");
		return;
	}
	printf(", in memory slot %u: %#" PRIx64 " to %#" PRIx64 "%s%s", e->slot, (uint64_t)e->slot_gpa,
	       (uint64_t)(e->slot_gpa + e->slot_size - 1), e->slot_flags & SLOT_READONLY ? ", read-only" : "",
	       e->slot_flags & SLOT_LOGGED ? ", writes are logged" : "");
	if (e->slot_hva)
		printf(", at %#" PRIx64 " in the process", (uint64_t)e->slot_hva);
	printf("\n");
	if (e->flags & DROSTE_EPT_APIC_PAGE)
		printf("It is L1's APIC-access page: where an access goes through, the processor virtualizes it, or L1 gets an exit.\n");
}

/* The tables that the processor uses for the access. */
static const char *used_tables(const struct droste_ept *e)
{
	return e->ept02.flags & DROSTE_EPT_EXISTS || e->ept12.flags & DROSTE_EPT_EXISTS ? "EPT02" : "EPT01";
}

static void show_access(const struct droste_ept *e, int kind)
{
	static const char *const sets[] = { "", "accessed", "dirty", "accessed and dirty" };
	const struct droste_ept_access *a = &e->access[kind];
	bool exits = a->verdict == DROSTE_EPT_VIOLATION || a->verdict == DROSTE_EPT_MISCONFIG || a->verdict == DROSTE_EPT_APIC;

	printf("A %-6s%s", kinds[kind], a->verdict == DROSTE_EPT_THROUGH ? GREEN : exits ? RED : YELLOW);
	switch (a->verdict) {
	case DROSTE_EPT_THROUGH:
		printf("goes through%s by %s, without an exit", PLAIN, used_tables(e));
		if (!(e->flags & DROSTE_EPT_TRANSLATED))
			printf("; EPT12 does not map the address any more, but L1 has not executed INVEPT");
		break;
	case DROSTE_EPT_FILLS:
		printf("exits to L0%s, which maps the page in %s%s", PLAIN, used_tables(e), e->flags & DROSTE_EPT_OF_L1 ? "" : " without L1 knowing");
		if (a->sets)
			printf(", and sets the %s flag in EPT12", sets[flags_of(a->sets)]);
		if (kind == 1 && e->slot_flags & SLOT_LOGGED)
			printf(", and logs the write");
		break;
	case DROSTE_EPT_VIOLATION:
		printf("exits to L1%s: EPT violation, qualification %#" PRIx64 ": EPT12 allows %s", PLAIN, (uint64_t)a->qual,
		       rights_text(a->qual >> 3));
		break;
	case DROSTE_EPT_MISCONFIG:
		printf("exits to L1%s: EPT misconfiguration", PLAIN);
		break;
	case DROSTE_EPT_MMIO:
		printf("exits to L0%s: no memory, so it is for a device, of L0 or of user space (MMIO)", PLAIN);
		break;
	case DROSTE_EPT_READONLY:
		printf("exits to L0%s: the slot is read-only, so it is for user space (MMIO)", PLAIN);
		break;
	case DROSTE_EPT_APIC:
		printf("exits to L1%s: APIC access", PLAIN);
		break;
	default:
		printf("is not known%s: the host does not have a page of EPT12 now, and looking does not fetch it", PLAIN);
	}
	printf("\n");
}

static void json_hex(const char *key, uint64_t val)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIx64, val);
	json_string(key, text);
}

static void json_tables(const char *key, const struct droste_ept_tables *t)
{
	if (!(t->flags & DROSTE_EPT_EXISTS))
		return;
	json_open(key, '{');
	json_hex("eptp", t->eptp);
	json_bool("addresses_hidden", t->flags & DROSTE_EPT_HIDDEN);
	json_open("entries", '[');
	for (unsigned int i = 0; i < t->nr; i++) {
		json_open(NULL, '{');
		json_count("level", EPT_ROOT_LEVEL - i);
		json_hex("at", t->at[i]);
		json_hex("value", t->entry[i]);
		json_string("is", entry_text(entry_is(t, i)));
		json_close();
	}
	json_close();
	json_close();
}

static void json_access(const struct droste_ept *e)
{
	static const char *const verdicts[] = {
		"through", "filled", "violation", "misconfiguration", "mmio", "readonly", "apic", "unknown",
	};

	json_open("access", '{');
	for (int kind = 0; kind < 3; kind++) {
		const struct droste_ept_access *a = &e->access[kind];

		json_open(kinds[kind], '{');
		json_string("verdict", verdicts[a->verdict <= DROSTE_EPT_UNKNOWN ? a->verdict : DROSTE_EPT_UNKNOWN]);
		if (a->verdict == DROSTE_EPT_VIOLATION)
			json_hex("qualification", a->qual);
		json_bool("sets_accessed", a->sets & EPT_ACCESSED);
		json_bool("sets_dirty", a->sets & EPT_DIRTY);
		json_close();
	}
	json_close();
}

static void json_ept(const struct droste_ept *e)
{
	json_open(NULL, '{');
	json_hex("address", e->gpa);
	json_count("level", e->flags & DROSTE_EPT_OF_L1 ? 1 : 2);
	json_bool("in_l2", e->flags & DROSTE_EPT_IN_L2);
	if (e->flags & DROSTE_EPT_TRANSLATED)
		json_hex("l1_address", e->l1_gpa);
	json_bool("apic_access_page", e->flags & DROSTE_EPT_APIC_PAGE);
	if (e->flags & DROSTE_EPT_IN_SLOT) {
		json_open("slot", '{');
		json_count("number", e->slot);
		json_hex("address", e->slot_gpa);
		json_hex("size", e->slot_size);
		json_bool("readonly", e->slot_flags & SLOT_READONLY);
		json_bool("logged", e->slot_flags & SLOT_LOGGED);
		if (e->slot_hva)
			json_hex("host_virtual_address", e->slot_hva);
		json_close();
	}
	json_tables("ept12", &e->ept12);
	json_tables("ept01", &e->ept01);
	json_tables("ept02", &e->ept02);
	json_access(e);
	json_close();
}

void ept_show(const struct droste_ept *e, bool json)
{
	bool l2 = !(e->flags & DROSTE_EPT_OF_L1);

	if (json) {
		json_ept(e);
		return;
	}
	printf("%s guest-physical address %s%#" PRIx64 "%s", l2 ? "L2" : "L1", BOLD, (uint64_t)e->gpa, PLAIN);
	printf("%s\n", !l2 ? "" : e->flags & DROSTE_EPT_IN_L2 ? ", of the L2 that runs" : ", of L1's current VMCS; L1 runs");
	show_tables(&e->ept12, "EPT12, L1's tables");
	if (l2 && !(e->ept12.flags & DROSTE_EPT_EXISTS))
		printf("\nL1 does not use EPT: the address is L1's, too.\n");
	show_slot(e);
	show_tables(&e->ept01, "EPT01, L0's tables for L1");
	show_tables(&e->ept02, l2 && !(e->ept12.flags & DROSTE_EPT_EXISTS) ?
		    "L0's tables for L2" : "EPT02, L0's tables for L2, composed of both");
	printf("\n");
	for (int kind = 0; kind < 3; kind++)
		show_access(e, kind);
}

/* Ask for an address of L2 or, with @l1 or if L1 has no VMCS, of L1. Returns 0, or -1 after an error message. */
static int ask(int fd, unsigned long vcpu, bool l1, struct droste_ept *e)
{
	e->vcpu = vcpu;
	e->flags = l1 ? DROSTE_EPT_OF_L1 : 0;
	if (!ioctl(fd, DROSTE_GET_EPT, e))
		return 0;
	if (errno == ENOENT && !l1)
		return ask(fd, vcpu, true, e);
	if (errno == EINVAL)
		say("the VM has no vCPU %lu", vcpu);
	else if (errno == ENOTTY)
		say("the module that is loaded is older than drostectl, and does not follow addresses");
	else if (errno == ESRCH)
		say("the VM's process has ended");
	else
		say("vCPU %lu: %s", vcpu, strerror(errno));
	return -1;
}

int cmd_ept(int argc, char **argv)
{
	static const struct option options[] = {
		LOOK_LONGOPTS, { "l1", no_argument, NULL, '1' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	struct droste_ept e = { .gpa = 0 };
	struct look_at at = { .vm = 0 };
	struct droste_vm_info vm;
	bool json = false, l1 = false;
	uint64_t gpa;
	int opt, fd;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			ept_help();
			return 0;
		}
		if (opt == '1')
			l1 = true;
		else if (opt == 'j')
			json = true;
		else if (look_option(&at, opt, optarg))
			return STATUS_USAGE;
	}
	if (optind + 1 != argc) {
		say("name one guest-physical address, such as 0x1000; see \"drostectl ept --help\"");
		return STATUS_USAGE;
	}
	if (args_address("address", argv[optind], &gpa))
		return STATUS_USAGE;
	e.gpa = gpa;
	fd = look_open(&at, &vm);
	if (fd < 0 || ask(fd, at.vcpu, l1, &e))
		return STATUS_FAILED;
	close(fd);
	paint_begin();
	if (!json)
		printf("VM %u (%s, process %d), vCPU %lu\n", vm.number, vm.name, vm.pid, at.vcpu);
	if (!json && !l1 && e.flags & DROSTE_EPT_OF_L1)
		printf("L1 has no current VMCS, so the address is taken as L1's.\n");
	ept_show(&e, json);
	return 0;
}
