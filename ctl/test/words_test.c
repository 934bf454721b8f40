// SPDX-License-Identifier: GPL-2.0
/*
 * Checks the sentences of checks.def against the rules' source text: a sentence names the controls and registers that the
 * rule looks at, by the names of vmxcaps.c, and no other control.
 */
#include <linux/bitops.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <asm/vmx.h>

#include "auditjudge.h"
#include "checkwords.h"
#include "tap.h"
#include "vmcsbits.h"
#include "vmx/types.h"
#include "vmxcaps.h"

/* The controls that rules name, and the field that they are in. */
static const struct control {
	const char *source;
	int field;
	uint32_t bit;
} controls[] = {
#define PIN(name)	{ #name, VMCS12_I_PIN_BASED_VM_EXEC_CONTROL, name },
	PIN(PIN_BASED_EXT_INTR_MASK) PIN(PIN_BASED_NMI_EXITING) PIN(PIN_BASED_VIRTUAL_NMIS)
	PIN(PIN_BASED_VMX_PREEMPTION_TIMER) PIN(PIN_BASED_POSTED_INTR)
#define PROC(name)	{ #name, VMCS12_I_CPU_BASED_VM_EXEC_CONTROL, name },
	PROC(CPU_BASED_USE_IO_BITMAPS) PROC(CPU_BASED_USE_MSR_BITMAPS) PROC(CPU_BASED_TPR_SHADOW)
	PROC(CPU_BASED_NMI_WINDOW_EXITING) PROC(CPU_BASED_MONITOR_TRAP_FLAG)
	PROC(CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
#define PROC2(name)	{ #name, VMCS12_I_SECONDARY_VM_EXEC_CONTROL, name },
	PROC2(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) PROC2(SECONDARY_EXEC_ENABLE_EPT)
	PROC2(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE) PROC2(SECONDARY_EXEC_ENABLE_VPID)
	PROC2(SECONDARY_EXEC_UNRESTRICTED_GUEST) PROC2(SECONDARY_EXEC_APIC_REGISTER_VIRT)
	PROC2(SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) PROC2(SECONDARY_EXEC_ENABLE_VMFUNC)
	PROC2(SECONDARY_EXEC_SHADOW_VMCS) PROC2(SECONDARY_EXEC_ENABLE_PML)
	PROC2(SECONDARY_EXEC_MODE_BASED_EPT_EXEC) PROC2(SECONDARY_EXEC_TSC_SCALING)
	{ "VMCS_CONTROL_BIT(EPT_VIOLATION_VE)", VMCS12_I_SECONDARY_VM_EXEC_CONTROL, 1u << 18 },
#define EXIT(name)	{ #name, VMCS12_I_VM_EXIT_CONTROLS, name },
	EXIT(VM_EXIT_HOST_ADDR_SPACE_SIZE) EXIT(VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) EXIT(VM_EXIT_ACK_INTR_ON_EXIT)
	EXIT(VM_EXIT_LOAD_IA32_PAT) EXIT(VM_EXIT_LOAD_IA32_EFER) EXIT(VM_EXIT_SAVE_VMX_PREEMPTION_TIMER)
#define ENTRY(name)	{ #name, VMCS12_I_VM_ENTRY_CONTROLS, name },
	ENTRY(VM_ENTRY_LOAD_DEBUG_CONTROLS) ENTRY(VM_ENTRY_IA32E_MODE) ENTRY(VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
	ENTRY(VM_ENTRY_LOAD_IA32_PAT) ENTRY(VM_ENTRY_LOAD_IA32_EFER)
	{ "has_eptp_switching", VMCS12_I_VM_FUNCTION_CONTROL, VMX_VMFUNC_EPTP_SWITCHING },
	{ "has_eptp_switching", VMCS12_I_SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VMFUNC },
};

#define NR(a)	(sizeof(a) / sizeof((a)[0]))

/* Registers that the names of fields contain; a sentence calls each the same. */
static const char *const registers[] = {
	"CR0", "CR3", "CR4", "DR7", "RIP", "RFLAGS", "EFER", "PAT", "DEBUGCTL", "SYSENTER_ESP", "SYSENTER_EIP",
	"PERF_GLOBAL_CTRL", "ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR", "GDTR", "IDTR",
};

/* Whether a text has a word: no letter or digit, and no underscore in @text, is next to it. */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *beside = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || !strchr(beside, at[-1])) && (!at[len] || !strchr(beside, at[len])))
			return true;
	return false;
}

/* The name of a control, without case in its first letter: that of 'use TPR shadow' is "Use TPR shadow". */
static bool is_name(const char *name, const char *quoted, size_t len)
{
	return strlen(name) == len && !strncasecmp(name, quoted, 1) && !strncmp(name + 1, quoted + 1, len - 1);
}

/* Whether the text between quotes at @quoted names a bit of the field. */
static bool names_bit(int field, uint32_t bit, const char *quoted, size_t len)
{
	for (size_t i = 0; i < vmxcap_nr_bits; i++)
		if (vmxcap_bits[i].index == vmcs_control_msr(field) && (bit >> vmxcap_bits[i].low & 1) &&
		    is_name(vmxcap_bits[i].name, quoted, len))
			return true;
	return false;
}

/* Goes through what is between quotes: returns its length, or 0 at the end. */
static size_t next_quoted(const char **at)
{
	const char *begin = strchr(*at, '\''), *end = begin ? strchr(begin + 1, '\'') : NULL;

	if (!end)
		return 0;
	*at = begin + 1;
	return end - begin - 1;
}

static bool quotes(const char *sentence, int field, uint32_t bit)
{
	const char *at = sentence;
	size_t len;

	for (; (len = next_quoted(&at)); at += len + 1)
		if (names_bit(field, bit, at, len))
			return true;
	return false;
}

static bool source_has(enum check_id id, const char *name)
{
	return strstr(check_text(id, CHECK_WHEN), name) || strstr(check_text(id, CHECK_DEMANDS), name);
}

/* A sentence names each control that the source text does. */
static bool names_all(enum check_id id)
{
	for (size_t i = 0; i < NR(controls); i++) {
		const struct control *c = &controls[i];

		if (source_has(id, c->source) && !quotes(check_words(id), c->field, c->bit)) {
			printf("# %s is not named\n", c->source);
			return false;
		}
	}
	return true;
}

/* Each control in a rule's source text is in the table above. */
static bool knows_all(const char *text)
{
	static const char *const prefixes[] = {
		"PIN_BASED_", "CPU_BASED_", "SECONDARY_EXEC_", "VM_EXIT_", "VM_ENTRY_", "VMCS_CONTROL_BIT",
	};

	for (size_t p = 0; p < NR(prefixes); p++) {
		for (const char *at = strstr(text, prefixes[p]); at; at = strstr(at + 1, prefixes[p])) {
			bool known = false;

			for (size_t i = 0; i < NR(controls); i++)
				known |= !strncmp(at, controls[i].source, strlen(controls[i].source));
			if (!known) {
				printf("# this test does not know %s\n", at);
				return false;
			}
		}
	}
	return true;
}

static bool looks_at(enum check_id id, int field)
{
	uint8_t fields[2 * CHECK_FIELDS];
	int n = judge_fields(id, fields);

	return memchr(fields, field, n);
}

/* Each control that a sentence names is in a field that the rule looks at, or in its source text. */
static bool names_no_other(enum check_id id)
{
	static const int words[] = {
		VMCS12_I_PIN_BASED_VM_EXEC_CONTROL, VMCS12_I_CPU_BASED_VM_EXEC_CONTROL,
		VMCS12_I_SECONDARY_VM_EXEC_CONTROL, VMCS12_I_VM_EXIT_CONTROLS, VMCS12_I_VM_ENTRY_CONTROLS,
		VMCS12_I_VM_FUNCTION_CONTROL,
	};
	const char *at = check_words(id);
	size_t len;

	for (; (len = next_quoted(&at)); at += len + 1) {
		bool found = false;

		for (size_t i = 0; i < NR(words); i++)
			found |= looks_at(id, words[i]) && names_bit(words[i], ~0u, at, len);
		for (size_t i = 0; i < NR(controls); i++)
			found |= source_has(id, controls[i].source) &&
				 names_bit(controls[i].field, controls[i].bit, at, len);
		if (!found) {
			printf("# the rule does not look at '%.*s'\n", (int)len, at);
			return false;
		}
	}
	return true;
}

/* The sentence has the registers of the fields of which something is demanded, and says which are the host's. */
static bool names_registers(enum check_id id)
{
	uint8_t fields[CHECK_FIELDS];
	int n = check_fields(id, CHECK_DEMANDS, fields);

	for (int i = 0; i < n; i++) {
		const char *field = vmcs12_fields[fields[i]].name, *missing = NULL;

		for (size_t r = 0; r < NR(registers); r++)
			if (has_word(field, registers[r]) && !has_word(check_words(id), registers[r]))
				missing = registers[r];
		if (!strncmp(field, "HOST_", 5) && !has_word(check_words(id), "host") && !has_word(check_words(id), "Host"))
			missing = "host";
		if (missing) {
			printf("# \"%s\" of %s is missing\n", missing, field);
			return false;
		}
	}
	return true;
}

/* A sentence has its form, says what must be, and is not that of another rule. */
static bool is_sentence(enum check_id id)
{
	const char *s = check_words(id);
	size_t len = strlen(s);

	for (int other = CHECK_OK + 1; other < (int)id; other++)
		if (!strcmp(check_words(other), s)) {
			printf("# %s has the same\n", check_name(other));
			return false;
		}
	return len > 20 && *s >= 'A' && *s <= 'Z' && s[len - 1] == '.' && strstr(s, "must ") && !strstr(s, "  ") &&
	       !strstr(s, "..");
}

int main(void)
{
	/* Each control of the table is in a rule, so that a name that is wrong here is noticed. */
	for (size_t i = 0; i < NR(controls); i++) {
		bool used = false;

		for (int id = CHECK_OK + 1; id < NR_CHECKS; id++)
			used |= source_has(id, controls[i].source);
		tap_result(used, __FILE__, __LINE__, controls[i].source);
	}
	for (int id = CHECK_OK + 1; id < NR_CHECKS; id++) {
		bool good = is_sentence(id) && names_all(id) && names_no_other(id) && names_registers(id) &&
			    knows_all(check_text(id, CHECK_WHEN)) && knows_all(check_text(id, CHECK_DEMANDS));

		tap_result(good, __FILE__, __LINE__, check_name(id));
	}
	return tap_done();
}
