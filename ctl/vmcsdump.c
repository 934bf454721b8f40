// SPDX-License-Identifier: GPL-2.0
/* Reads the text that kvm_intel's dump_vmcs() writes to the kernel log, of Linux 4.x to 6.x, and Xen's like it. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "say.h"
#include "vmcsfile.h"

enum section { GUEST, HOST, CONTROL, NR_SECTIONS };

static const char *const headings[NR_SECTIONS] = {
	"*** Guest State ***", "*** Host State ***", "*** Control State ***",
};

#define SECTION_MAX	16384	/* the rest of a log is about something else */
#define FIELDS_MAX	7
#define F(name)		(VMCS12_I_##name + 1)
#define SEGMENT(seg)	{ F(GUEST_##seg##_SELECTOR), F(GUEST_##seg##_AR_BYTES), \
			  F(GUEST_##seg##_LIMIT), F(GUEST_##seg##_BASE) }
#define SEGMENT_LINE	"sel=% attr=% limit=% base=%"
#define OTHER		(-1)	/* the guest's EFER, but not from the VMCS */
#define TERTIARY	(-2)
#define SKIP		(-3)	/* no field of the VMCS */

/*
 * The lines. In a pattern, "%" stands for a hexadecimal number, with or
 * without "0x", and a space for spaces, commas, and the end of a line that a
 * mail program wrapped and another quoted. Older kernels and Xen write some
 * fields in other lines.
 */
static const struct line {
	enum section section;
	const char *pattern;
	int fields[FIELDS_MAX];		/* one for each "%" */
} lines[] = {
	{ GUEST, "CR0: actual=% shadow=% gh_mask=%", { F(GUEST_CR0), F(CR0_READ_SHADOW), F(CR0_GUEST_HOST_MASK) } },
	{ GUEST, "CR4: actual=% shadow=% gh_mask=%", { F(GUEST_CR4), F(CR4_READ_SHADOW), F(CR4_GUEST_HOST_MASK) } },
	{ GUEST, "CR3 = %", { F(GUEST_CR3) } },
	{ GUEST, "PDPTR0 = % PDPTR1 = %", { F(GUEST_PDPTR0), F(GUEST_PDPTR1) } },
	{ GUEST, "PDPTR2 = % PDPTR3 = %", { F(GUEST_PDPTR2), F(GUEST_PDPTR3) } },
	{ GUEST, "RSP = % RIP = %", { F(GUEST_RSP), F(GUEST_RIP) } },
	{ GUEST, "RFLAGS=% DR7 = %", { F(GUEST_RFLAGS), F(GUEST_DR7) } },
	{ GUEST, "Sysenter RSP=% CS:RIP=%:%", { F(GUEST_SYSENTER_ESP), F(GUEST_SYSENTER_CS), F(GUEST_SYSENTER_EIP) } },
	{ GUEST, "CS: " SEGMENT_LINE, SEGMENT(CS) },
	{ GUEST, "DS: " SEGMENT_LINE, SEGMENT(DS) },
	{ GUEST, "SS: " SEGMENT_LINE, SEGMENT(SS) },
	{ GUEST, "ES: " SEGMENT_LINE, SEGMENT(ES) },
	{ GUEST, "FS: " SEGMENT_LINE, SEGMENT(FS) },
	{ GUEST, "GS: " SEGMENT_LINE, SEGMENT(GS) },
	{ GUEST, "LDTR: " SEGMENT_LINE, SEGMENT(LDTR) },
	{ GUEST, "TR: " SEGMENT_LINE, SEGMENT(TR) },
	{ GUEST, "GDTR: limit=% base=%", { F(GUEST_GDTR_LIMIT), F(GUEST_GDTR_BASE) } },
	{ GUEST, "IDTR: limit=% base=%", { F(GUEST_IDTR_LIMIT), F(GUEST_IDTR_BASE) } },
	/* What no entry loads from the VMCS is not the field's value. */
	{ GUEST, "EFER= % (autoload)", { OTHER } },
	{ GUEST, "EFER= % (effective)", { OTHER } },
	{ GUEST, "EFER= %", { F(GUEST_IA32_EFER) } },
	{ GUEST, "EFER = % PAT = %", { F(GUEST_IA32_EFER), F(GUEST_IA32_PAT) } },
	{ GUEST, "PAT = %", { F(GUEST_IA32_PAT) } },
	{ GUEST, "DebugCtl = % DebugExceptions = %", { F(GUEST_IA32_DEBUGCTL), F(GUEST_PENDING_DBG_EXCEPTIONS) } },
	{ GUEST, "PerfGlobCtl = %", { F(GUEST_IA32_PERF_GLOBAL_CTRL) } },
	{ GUEST, "Interruptibility = % ActivityState = %", { F(GUEST_INTERRUPTIBILITY_INFO), F(GUEST_ACTIVITY_STATE) } },
	{ GUEST, "InterruptStatus = %", { F(GUEST_INTR_STATUS) } },

	{ GUEST, "PDPTE0 = % PDPTE1 = %", { F(GUEST_PDPTR0), F(GUEST_PDPTR1) } },
	{ GUEST, "PDPTE2 = % PDPTE3 = %", { F(GUEST_PDPTR2), F(GUEST_PDPTR3) } },
	{ GUEST, "RSP = % (%) RIP = % (%)", { F(GUEST_RSP), SKIP, F(GUEST_RIP), SKIP } },
	{ GUEST, "RFLAGS=% (%) DR7 = %", { F(GUEST_RFLAGS), SKIP, F(GUEST_DR7) } },
	{ GUEST, "CS: % % % %", SEGMENT(CS) },
	{ GUEST, "DS: % % % %", SEGMENT(DS) },
	{ GUEST, "SS: % % % %", SEGMENT(SS) },
	{ GUEST, "ES: % % % %", SEGMENT(ES) },
	{ GUEST, "FS: % % % %", SEGMENT(FS) },
	{ GUEST, "GS: % % % %", SEGMENT(GS) },
	{ GUEST, "LDTR: % % % %", SEGMENT(LDTR) },
	{ GUEST, "TR: % % % %", SEGMENT(TR) },
	{ GUEST, "GDTR: % %", { F(GUEST_GDTR_LIMIT), F(GUEST_GDTR_BASE) } },
	{ GUEST, "IDTR: % %", { F(GUEST_IDTR_LIMIT), F(GUEST_IDTR_BASE) } },
	{ GUEST, "EFER(VMCS) = % PAT = %", { F(GUEST_IA32_EFER), F(GUEST_IA32_PAT) } },
	{ GUEST, "EFER(MSR LL) = % PAT = %", { SKIP, F(GUEST_IA32_PAT) } },
	{ GUEST, "PreemptionTimer = %", { F(VMX_PREEMPTION_TIMER_VALUE) } },

	{ HOST, "RIP = % RSP = %", { F(HOST_RIP), F(HOST_RSP) } },
	{ HOST, "RIP = % (", { F(HOST_RIP) } },
	{ HOST, "CS=% SS=% DS=% ES=% FS=% GS=% TR=%",
	  { F(HOST_CS_SELECTOR), F(HOST_SS_SELECTOR), F(HOST_DS_SELECTOR), F(HOST_ES_SELECTOR),
	    F(HOST_FS_SELECTOR), F(HOST_GS_SELECTOR), F(HOST_TR_SELECTOR) } },
	{ HOST, "FSBase=% GSBase=% TRBase=%", { F(HOST_FS_BASE), F(HOST_GS_BASE), F(HOST_TR_BASE) } },
	{ HOST, "GDTBase=% IDTBase=%", { F(HOST_GDTR_BASE), F(HOST_IDTR_BASE) } },
	{ HOST, "CR0=% CR3=% CR4=%", { F(HOST_CR0), F(HOST_CR3), F(HOST_CR4) } },
	{ HOST, "Sysenter RSP=% CS:RIP=%:%",
	  { F(HOST_IA32_SYSENTER_ESP), F(HOST_IA32_SYSENTER_CS), F(HOST_IA32_SYSENTER_EIP) } },
	{ HOST, "EFER= %", { F(HOST_IA32_EFER) } },
	{ HOST, "EFER = % PAT = %", { F(HOST_IA32_EFER), F(HOST_IA32_PAT) } },
	{ HOST, "PAT = %", { F(HOST_IA32_PAT) } },
	{ HOST, "PerfGlobCtl = %", { F(HOST_IA32_PERF_GLOBAL_CTRL) } },

	{ CONTROL, "CPUBased=%", { F(CPU_BASED_VM_EXEC_CONTROL) } },
	{ CONTROL, "SecondaryExec=%", { F(SECONDARY_VM_EXEC_CONTROL) } },
	{ CONTROL, "TertiaryExec=%", { TERTIARY } },
	{ CONTROL, "PinBased=%", { F(PIN_BASED_VM_EXEC_CONTROL) } },
	{ CONTROL, "EntryControls=% ExitControls=%", { F(VM_ENTRY_CONTROLS), F(VM_EXIT_CONTROLS) } },
	{ CONTROL, "ExceptionBitmap=% PFECmask=% PFECmatch=%",
	  { F(EXCEPTION_BITMAP), F(PAGE_FAULT_ERROR_CODE_MASK), F(PAGE_FAULT_ERROR_CODE_MATCH) } },
	{ CONTROL, "VMEntry: intr_info=% errcode=% ilen=%",
	  { F(VM_ENTRY_INTR_INFO_FIELD), F(VM_ENTRY_EXCEPTION_ERROR_CODE), F(VM_ENTRY_INSTRUCTION_LEN) } },
	{ CONTROL, "VMExit: intr_info=% errcode=% ilen=%",
	  { F(VM_EXIT_INTR_INFO), F(VM_EXIT_INTR_ERROR_CODE), F(VM_EXIT_INSTRUCTION_LEN) } },
	{ CONTROL, "reason=% qualification=%", { F(VM_EXIT_REASON), F(EXIT_QUALIFICATION) } },
	{ CONTROL, "IDTVectoring: info=% errcode=%", { F(IDT_VECTORING_INFO_FIELD), F(IDT_VECTORING_ERROR_CODE) } },
	{ CONTROL, "TSC Offset = %", { F(TSC_OFFSET) } },
	{ CONTROL, "TSC Multiplier = %", { F(TSC_MULTIPLIER) } },
	{ CONTROL, "TPR Threshold = %", { F(TPR_THRESHOLD) } },
	{ CONTROL, "APIC-access addr = %", { F(APIC_ACCESS_ADDR) } },
	{ CONTROL, "virt-APIC addr = %", { F(VIRTUAL_APIC_PAGE_ADDR) } },
	{ CONTROL, "PostedIntrVec = %", { F(POSTED_INTR_NV) } },
	{ CONTROL, "EPT pointer = %", { F(EPT_POINTER) } },
	{ CONTROL, "PLE Gap=% Window=%", { F(PLE_GAP), F(PLE_WINDOW) } },
	{ CONTROL, "Virtual processor ID = %", { F(VIRTUAL_PROCESSOR_ID) } },
	{ CONTROL, "VMfunc controls = %", { F(VM_FUNCTION_CONTROL) } },
	{ CONTROL, "EPTP index = %", { F(EPTP_INDEX) } },
	{ CONTROL, "VE info address = %", { F(VE_INFO_ADDRESS) } },
};

/* Reads a number of at most 16 digits. Returns what follows it, or NULL. */
static const char *take_number(const char *at, const char *end, uint64_t *val)
{
	int digits = 0;

	if (end - at > 2 && at[0] == '0' && at[1] == 'x')
		at += 2;
	for (*val = 0; at < end && isxdigit((unsigned char)*at); at++) {
		if (++digits > 16)
			return NULL;
		*val = *val << 4 | (isdigit((unsigned char)*at) ? *at - '0' : tolower(*at) - 'a' + 10);
	}
	return digits ? at : NULL;
}

/* Matches a pattern at @at. Fills in the numbers and returns true if it does. */
static bool match(const char *at, const char *end, const char *pattern, uint64_t *val)
{
	for (; *pattern; pattern++) {
		if (*pattern == '%') {
			at = take_number(at, end, val++);
			if (!at)
				return false;
		} else if (*pattern == ' ') {
			const char *start = at;

			while (at < end && (isspace((unsigned char)*at) || *at == ',' || *at == '>'))
				at++;
			if (at == start)
				return false;
		} else if (at == end || *at++ != *pattern) {
			return false;
		}
	}
	return true;
}

/* Takes the first line of a section that matches. */
static void take_line(struct vmcs_file *f, const struct line *line, const char *at, const char *end)
{
	uint64_t val[FIELDS_MAX];

	for (const char *start = at; at < end; at++) {
		if (*at != *line->pattern || (at > start && (isalnum((unsigned char)at[-1]) || at[-1] == '-')))
			continue;
		if (!match(at, end, line->pattern, val))
			continue;
		for (int i = 0; i < FIELDS_MAX && line->fields[i]; i++) {
			if (line->fields[i] == TERTIARY)
				f->tertiary = val[i];
			else if (line->fields[i] == OTHER)
				f->known[VMCS12_I_GUEST_IA32_EFER] = true;	/* until vmcs_dump_parse() ends */
			else if (line->fields[i] != SKIP)
				vmcs_file_set(f, line->fields[i] - 1, val[i]);
		}
		return;
	}
}

static int count(const char *text, const char *word)
{
	int n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* The @nth occurrence of @word, from 1. */
static const char *find(const char *text, const char *word, int nth)
{
	for (text = strstr(text, word); text && --nth; text = strstr(text + 1, word))
		;
	return text;
}

int vmcs_dump_parse(struct vmcs_file *f, const char *name, const char *text, int dump)
{
	const char *start[NR_SECTIONS], *end;
	bool effective = false;

	f->source = VMCS_FROM_DUMP;
	f->dumps = count(text, headings[GUEST]);
	if (!f->dumps) {
		say("%s: neither a nested state, nor JSON, nor a log with a VMCS that KVM or Xen dumped", name);
		say_more("kvm_intel dumps it if its parameter dump_invalid_vmcs is 1.");
		return -1;
	}
	if (dump > f->dumps) {
		say("%s: there is no dump %d; the log has %d", name, dump, f->dumps);
		return -1;
	}
	f->dump = dump ? dump : f->dumps;
	start[GUEST] = find(text, headings[GUEST], f->dump);
	end = f->dump < f->dumps ? find(text, headings[GUEST], f->dump + 1) : text + strlen(text);
	for (int s = HOST; s < NR_SECTIONS; s++) {
		start[s] = start[s - 1] ? strstr(start[s - 1], headings[s]) : NULL;
		if (start[s] && start[s] >= end)
			start[s] = NULL;
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct line *l = &lines[i];
		const char *stop = l->section < CONTROL && start[l->section + 1] ? start[l->section + 1] : end;

		if (!start[l->section])
			continue;
		if (stop - start[l->section] > SECTION_MAX)
			stop = start[l->section] + SECTION_MAX;
		take_line(f, l, start[l->section], stop);
		if (l->fields[0] == OTHER && f->known[VMCS12_I_GUEST_IA32_EFER])
			effective = true;
	}
	if (effective)
		f->known[VMCS12_I_GUEST_IA32_EFER] = false;
	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (f->known[i])
			return 0;
	say("%s: a dump of a VMCS begins, but no line of it can be read", name);
	return -1;
}
