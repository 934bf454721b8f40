// SPDX-License-Identifier: GPL-2.0
/* Names of bits in VMCS fields: controls, control registers, access rights, events. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "nested/vmcs12.h"
#include "vmcsbits.h"
#include "vmxcaps.h"

/* A text that is put together piece by piece; what does not fit is left out. */
struct pieces {
	char *text;
	size_t size, len;
};

static void add(struct pieces *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct pieces *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, p->size - p->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		p->len = p->len + n < p->size ? p->len + n : p->size - 1;
}

static void add_word(struct pieces *p, const char *word)
{
	add(p, "%s%s", p->len ? ", " : "", word);
}

/* Names of the bits from 0 on; NULL where there is none. */
static const char *const cr0[64] = {
	"PE", "MP", "EM", "TS", "ET", "NE", [16] = "WP", [18] = "AM", [29] = "NW", "CD", "PG",
};

static const char *const cr4[64] = {
	"VME", "PVI", "TSD", "DE", "PSE", "PAE", "MCE", "PGE", "PCE", "OSFXSR", "OSXMMEXCPT", "UMIP",
	"LA57", "VMXE", "SMXE", [16] = "FSGSBASE", "PCIDE", "OSXSAVE", "KL", "SMEP", "SMAP", "PKE",
	"CET", "PKS", "UINTR", [27] = "LASS", "LAM_SUP", [32] = "FRED",
};

static const char *const rflags[64] = {
	"CF", [2] = "PF", [4] = "AF", [6] = "ZF", "SF", "TF", "IF", "DF", "OF", [14] = "NT", [16] = "RF", "VM",
	"AC", "VIF", "VIP", "ID",
};

static const char *const efer[64] = { "SCE", [8] = "LME", [10] = "LMA", "NXE" };

static const char *const blocking[64] = { "STI", "MOV SS", "SMI", "NMI", "enclave" };

static const char *const pending_dbg[64] = { "B0", "B1", "B2", "B3", [12] = "enabled breakpoint", [14] = "BS", [16] = "RTM" };

static const char *const *bit_names(int field)
{
	switch (field) {
	case VMCS12_I_GUEST_CR0: case VMCS12_I_HOST_CR0: case VMCS12_I_CR0_READ_SHADOW:
		return cr0;
	case VMCS12_I_GUEST_CR4: case VMCS12_I_HOST_CR4: case VMCS12_I_CR4_READ_SHADOW:
		return cr4;
	case VMCS12_I_GUEST_RFLAGS:
		return rflags;
	case VMCS12_I_GUEST_IA32_EFER: case VMCS12_I_HOST_IA32_EFER:
		return efer;
	case VMCS12_I_GUEST_INTERRUPTIBILITY_INFO:
		return blocking;
	case VMCS12_I_GUEST_PENDING_DBG_EXCEPTIONS:
		return pending_dbg;
	default:
		return NULL;
	}
}

uint32_t vmcs_control_msr(int field)
{
	switch (field) {
	case VMCS12_I_PIN_BASED_VM_EXEC_CONTROL:
		return 0x481;
	case VMCS12_I_CPU_BASED_VM_EXEC_CONTROL:
		return 0x482;
	case VMCS12_I_SECONDARY_VM_EXEC_CONTROL:
		return 0x48b;
	case VMCS12_I_VM_EXIT_CONTROLS:
		return 0x483;
	case VMCS12_I_VM_ENTRY_CONTROLS:
		return 0x484;
	case VMCS12_I_VM_FUNCTION_CONTROL:
		return 0x491;
	default:
		return 0;
	}
}

static const char *bit_name(int field, int bit)
{
	const char *const *names = bit_names(field);
	uint32_t msr = vmcs_control_msr(field);

	if (names)
		return names[bit];
	for (size_t i = 0; msr && i < vmxcap_nr_bits; i++)
		if (vmxcap_bits[i].index == msr && vmxcap_bits[i].low == bit)
			return vmxcap_bits[i].name;
	return NULL;
}

void vmcs_spell_bits(char *text, size_t size, int field, uint64_t bits)
{
	struct pieces p = { text, size, 0 };

	*text = '\0';
	for (int bit = 0; bit < 64; bit++) {
		const char *name = bit_name(field, bit);
		char number[48];

		if (!(bits >> bit & 1))
			continue;
		if (name && vmcs_control_msr(field))
			snprintf(number, sizeof(number), "%.36s (bit %d)", name, bit);
		else
			snprintf(number, sizeof(number), "bit %d", bit);
		add_word(&p, name && !vmcs_control_msr(field) ? name : number);
	}
	if (!bits)
		add_word(&p, "none");
}

/* The names of the bits that are set, with those that have none by number. */
static void spell_set(struct pieces *p, int field, uint64_t val)
{
	/* Controls that are 1 by default have no name; they say nothing. */
	bool quiet = vmcs_control_msr(field);

	for (int bit = 0; bit < 64; bit++) {
		const char *name = bit_name(field, bit);
		char number[16];

		if (!(val >> bit & 1) || (field == VMCS12_I_GUEST_RFLAGS && bit == 1) || (!name && quiet))
			continue;
		snprintf(number, sizeof(number), "bit %d", bit);
		add_word(p, name ?: number);
	}
	if (field == VMCS12_I_GUEST_RFLAGS && !(val >> 9 & 1))
		add_word(p, "not IF");
}

static void spell_event(struct pieces *p, uint32_t info)
{
	static const char *const types[] = {
		"external interrupt", "reserved type 1", "NMI", "hardware exception", "software interrupt",
		"privileged software exception", "software exception", "other event",
	};
	static const char *const vectors[32] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL, "#TS", "#NP", "#SS", "#GP",
		"#PF", NULL, "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
	};
	unsigned int type = info >> 8 & 7, vector = info & 0xff;

	if (!(info >> 31)) {
		add(p, "not valid");
		return;
	}
	add(p, "%s, vector %#x", types[type], vector);
	if ((type == 3 || type >= 5) && vector < 32 && vectors[vector])
		add(p, " (%s)", vectors[vector]);
	if (info >> 11 & 1)
		add(p, ", error code");
	if (info & 0x7ffff000)
		add(p, ", reserved bits %#x", info & 0x7ffff000);
}

static void spell_rights(struct pieces *p, uint32_t ar)
{
	if (ar >> 16 & 1)
		add_word(p, "unusable");
	add(p, "%stype %u, DPL %u", p->len ? ", " : "", ar & 15, ar >> 5 & 3);
	add_word(p, ar >> 4 & 1 ? "S" : "system");
	add_word(p, ar >> 7 & 1 ? "P" : "not P");
	if (ar >> 13 & 1)
		add_word(p, "L");
	if (ar >> 14 & 1)
		add_word(p, "D/B");
	if (ar >> 15 & 1)
		add_word(p, "G");
	if (ar & 0xfffe0f00)
		add(p, ", reserved bits %#x", ar & 0xfffe0f00);
}

static void spell_eptp(struct pieces *p, uint64_t eptp)
{
	static const char *const types[8] = { "UC", [6] = "WB" };

	add(p, "%s", types[eptp & 7] ?: "reserved memory type");
	add(p, ", %u levels", (unsigned int)(eptp >> 3 & 7) + 1);
	if (eptp >> 6 & 1)
		add_word(p, "A/D flags");
	if (eptp & 0xf80)
		add(p, ", reserved bits %#x", (unsigned int)(eptp & 0xf80));
}

static void spell_reason(struct pieces *p, uint32_t reason)
{
	if (!(reason >> 31))
		return;
	add(p, "VM-entry failure: %s",
	    (reason & 0xffff) == 33 ? "invalid guest state" : (reason & 0xffff) == 34 ? "MSR loading" :
	    (reason & 0xffff) == 41 ? "machine check" : "unknown reason");
}

static bool is_rights(int field)
{
	return field >= VMCS12_I_GUEST_ES_AR_BYTES && field <= VMCS12_I_GUEST_TR_AR_BYTES;
}

void vmcs_spell(char *text, size_t size, int field, uint64_t val)
{
	static const char *const activities[] = { "active", "HLT", "shutdown", "wait for SIPI" };
	struct pieces p = { text, size, 0 };

	*text = '\0';
	if (is_rights(field))
		spell_rights(&p, val);
	else if (field == VMCS12_I_VM_ENTRY_INTR_INFO_FIELD || field == VMCS12_I_VM_EXIT_INTR_INFO ||
		 field == VMCS12_I_IDT_VECTORING_INFO_FIELD)
		spell_event(&p, val);
	else if (field == VMCS12_I_GUEST_ACTIVITY_STATE)
		add(&p, "%s", val < 4 ? activities[val] : "unknown state");
	else if (field == VMCS12_I_EPT_POINTER)
		spell_eptp(&p, val);
	else if (field == VMCS12_I_VM_EXIT_REASON)
		spell_reason(&p, val);
	else if (bit_names(field) || vmcs_control_msr(field))
		spell_set(&p, field, val);
}
