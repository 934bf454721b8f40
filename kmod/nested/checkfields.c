// SPDX-License-Identifier: GPL-2.0
/* The VMCS fields that the rows of checks.def look at, taken from the rows' source text. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>

#include "nested/checks.h"

/*
 * What the predicates of checks.c read. A row names most fields itself, as
 * v->member; those that it reads through a predicate are here. The predicates
 * on values (check_page(), ar_type(), ...) read no fields of their own. The
 * KUnit suite changes each field that a row does not look at by this table,
 * and expects the row's verdict to stay.
 */
static const struct {
	const char *name;
	const char *reads;	/* fields, and predicates that it calls */
} check_predicates[] = {
	{ "has_pin", "v->pin_based_vm_exec_control" },
	{ "has_proc", "v->cpu_based_vm_exec_control" },
	{ "has_proc2", "has_proc v->secondary_vm_exec_control" },
	{ "has_exit", "v->vm_exit_controls" },
	{ "has_entry", "v->vm_entry_controls" },
	{ "has_eptp_switching", "has_proc2 v->vm_function_control" },
	{ "inj_valid", "v->vm_entry_intr_info_field" },
	{ "inj_type", "v->vm_entry_intr_info_field" },
	{ "inj_vector", "v->vm_entry_intr_info_field" },
	{ "inj_has_error", "v->vm_entry_intr_info_field" },
	{ "inj_is_soft", "v->vm_entry_intr_info_field" },
	{ "inj_in_protected_mode", "has_proc2 v->guest_cr0" },
	{ "inj_needs_error", "v->vm_entry_intr_info_field inj_in_protected_mode" },
	{ "guest_v8086", "v->guest_rflags" },
	{ "guest_code64", "has_entry v->guest_cs_ar_bytes" },
	{ "guest_pae_paging", "v->guest_cr0 v->guest_cr4 has_entry" },
	{ "guest_blocking", "v->guest_interruptibility_info" },
	{ "guest_single_steps", "v->guest_rflags v->guest_ia32_debugctl" },
	{ "guest_pending_dbg_matters", "guest_blocking v->guest_activity_state" },
	{ "check_tpr_threshold", "v->tpr_threshold v->virtual_apic_page_addr" },
	{ "check_guest_cr0", "v->guest_cr0 has_proc2" },
	{ "check_cs_type", "v->guest_cs_ar_bytes has_proc2" },
	{ "check_cs_dpl", "v->guest_cs_ar_bytes v->guest_ss_ar_bytes" },
	{ "check_activity", "v->guest_activity_state" },
	{ "check_rip", "v->guest_rip" },
	{ "check_activity_event", "v->guest_activity_state v->vm_entry_intr_info_field" },
	{ "check_link_revision", "v->vmcs_link_pointer has_proc2" },
	{ "check_memory_pdptes", "v->guest_cr3" },
};

/* The fields found so far, in the order of the text. */
struct found {
	u8 *fields;
	int nr;
};

/* The length of the word of letters, digits and underscores at the start of @text. */
static size_t checkfields_word(const char *text)
{
	size_t len = 0;

	while ((text[len] >= 'a' && text[len] <= 'z') || (text[len] >= 'A' && text[len] <= 'Z') ||
	       (text[len] >= '0' && text[len] <= '9') || text[len] == '_')
		len++;
	return len;
}

static bool checkfields_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && !strncasecmp(word, name, len);
}

static void checkfields_add(struct found *found, int field)
{
	int i;

	for (i = 0; i < found->nr; i++) {
		if (found->fields[i] == field)
			return;
	}
	if (found->nr < CHECK_FIELDS)
		found->fields[found->nr++] = field;
}

/* A member of struct vmcs12 has the field's name in lower case. */
static void checkfields_add_member(struct found *found, const char *word, size_t len)
{
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		if (checkfields_is(word, len, vmcs12_fields[i].name))
			checkfields_add(found, i);
	}
}

/* What the predicate @word reads. NULL if it is none that reads fields. */
static const char *checkfields_reads(const char *word, size_t len)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(check_predicates); i++) {
		if (checkfields_is(word, len, check_predicates[i].name))
			return check_predicates[i].reads;
	}
	return NULL;
}

/* @depth bounds the recursion, although no predicate calls itself. */
static void checkfields_scan(struct found *found, const char *text, int depth)
{
	const char *reads;
	size_t len;

	for (; *text; text += len) {
		len = checkfields_word(text);
		if (!len) {
			len = 1;
		} else if (len == 1 && *text == 'v' && text[1] == '-' && text[2] == '>') {
			len = 3 + checkfields_word(text + 3);
			checkfields_add_member(found, text + 3, len - 3);
		} else {
			reads = checkfields_reads(text, len);
			if (reads && depth)
				checkfields_scan(found, reads, depth - 1);
		}
	}
}

/**
 * check_fields() - the VMCS fields that a condition of a row looks at
 * @id: the row
 * @part: the condition
 * @fields: CHECK_FIELDS numbers (enum vmcs12_idx), filled in, in the order in
 *	which the condition names them
 *
 * Context: Any.
 * Return: how many there are.
 */
int check_fields(enum check_id id, enum check_part part, u8 *fields)
{
	struct found found = { .fields = fields };

	checkfields_scan(&found, check_text(id, part), 8);
	return found.nr;
}
