/* SPDX-License-Identifier: GPL-2.0 */
/* Reads a VMCS from a file: a nested state, a page, JSON, or the dump in a log. */
#ifndef DROSTECTL_VMCSFILE_H
#define DROSTECTL_VMCSFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nested/checks.h"
#include "vmx/types.h"

/** enum vmcs_source - the format of a file */
enum vmcs_source {
	VMCS_FROM_STATE,	/* KVM_GET_NESTED_STATE */
	VMCS_FROM_PAGE,		/* a VMCS12 as it is in L1's memory */
	VMCS_FROM_JSON,
	VMCS_FROM_DUMP,		/* of kvm_intel or Xen, in a log */
	VMCS_FROM_VCPU,		/* no file: a vCPU that runs */
};

/** struct vmcs_file - a VMCS, and what else its file says */
struct vmcs_file {
	enum vmcs_source source;
	struct vmcs12 v;
	bool known[NR_VMCS12_FIELDS];	/* the file has the field */
	uint64_t vmptr;			/* the VMCS's address, or ~0 */
	bool in_l2;			/* L2 had run with this VMCS when it was saved */
	bool has_link;			/* @link was saved */
	struct vmcs12 link;		/* the VMCS at the link pointer */
	struct vmx_caps caps;		/* the capabilities that the file has */
	uint32_t caps_known;		/* bit n: MSR 0x480 + n is in @caps */
	unsigned int maxphyaddr;	/* 0: not in the file */
	uint64_t tertiary;		/* tertiary controls of a dump, for which there are no rules */
	int dump, dumps;		/* which dump of how many */
	int ignored;			/* names of fields that are not known */
	char first_ignored[48];
};

/**
 * vmcs_file_read() - read a VMCS
 * @f: filled in
 * @name: the file's name; "-" is standard input
 * @dump: the number of the dump in a log, from 1; 0: the last
 *
 * Return: 0, or -1 after an error message.
 */
int vmcs_file_read(struct vmcs_file *f, const char *name, int dump);

/**
 * vmcs_file_parse() - as vmcs_file_read(), for a file's contents
 * @f: filled in
 * @name: the file's name, for messages
 * @data: the contents; a zero byte follows them
 * @size: their size
 * @dump: as for vmcs_file_read()
 *
 * Return: 0, or -1 after an error message.
 */
int vmcs_file_parse(struct vmcs_file *f, const char *name, char *data,
		    size_t size, int dump);

/**
 * vmcs_file_load() - read a whole file
 * @name: the file's name; "-" is standard input
 * @size: filled in
 *
 * Return: the contents and a zero byte, to be freed; NULL after an error message.
 */
char *vmcs_file_load(const char *name, size_t *size);

/** vmcs_file_set() - note the value of a field, unless the file had it before */
void vmcs_file_set(struct vmcs_file *f, int field, uint64_t val);

/** vmcs_dump_parse() - as vmcs_file_parse(), for a log */
int vmcs_dump_parse(struct vmcs_file *f, const char *name, const char *text, int dump);

/** vmcs_json_parse() - as vmcs_file_parse(), for JSON */
int vmcs_json_parse(struct vmcs_file *f, const char *name, char *text);

/**
 * vmcs_json_caps() - take VMX capabilities out of JSON
 * @f: its @caps, @caps_known and @maxphyaddr are filled in
 * @name: the file's name, for messages
 * @text: the contents; changed
 * @offered: of "drostectl info --json", take those offered to a guest instead of the processor's
 *
 * Return: 0, or -1 after an error message.
 */
int vmcs_json_caps(struct vmcs_file *f, const char *name, char *text, bool offered);

#endif
