/* SPDX-License-Identifier: GPL-2.0 */
/* Finds VMs of this host, and looks at their vCPUs. */
#ifndef DROSTECTL_LOOK_H
#define DROSTECTL_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "../uapi/linux/droste.h"
#include "vmcsfile.h"

/** struct look_at - the vCPU that a command is about, as its options name it */
struct look_at {
	unsigned long vm;	/* number of the VM; 0: the only one */
	unsigned long pid;	/* process of the VM; 0: not given */
	unsigned long vcpu;	/* index of the vCPU */
};

/** LOOK_OPTIONS - help text of the options of struct look_at */
#define LOOK_OPTIONS \
	"  --vm N          the VM with this number in \"drostectl ps\"\n" \
	"  --pid P         the VM of this process; without both, the only VM there is\n"

/** struct look_which - a VMCS, as the user names it */
struct look_which {
	const char *name;	/* 01, 12, 02, shadow; "at" for one that --gpa names */
	uint32_t which;		/* DROSTE_VMCS01 and so on */
	const char *title;
};

extern const struct look_which look_whichs[];

/** look_which() - the row of a name; NULL after an error message */
const struct look_which *look_which(const char *name);

/**
 * look_next() - open the next VM of this host
 * @info: in: the number of the last one, 0 at first; filled in
 *
 * Return: a file descriptor, -1 if there is no other, -2 after an error message.
 */
int look_next(struct droste_vm_info *info);

/**
 * look_open() - open the VM that the options name
 * @at: the options
 * @info: filled in
 *
 * Return: a file descriptor, or -1 after an error message.
 */
int look_open(const struct look_at *at, struct droste_vm_info *info);

/**
 * look_vcpu() - a vCPU's counters
 * @fd: from look_open() or look_next()
 * @vcpu: index
 * @info: filled in
 *
 * Return: 0, or -1 after an error message.
 */
int look_vcpu(int fd, unsigned int vcpu, struct droste_vcpu_info *info);

/** struct look_vmcs - the fields of a VMCS */
struct look_vmcs {
	struct vmcs_file file;			/* the values */
	bool hidden[NR_VMCS12_FIELDS];		/* secrets of the host, which are not told */
	uint8_t marks[NR_VMCS12_FIELDS];	/* DROSTE_FIELD_* */
	bool in_l2;				/* the vCPU runs L2 */
	uint32_t flags;				/* DROSTE_VMCS_* */
	uint32_t merged[6];			/* as in struct droste_vmcs */
};

/**
 * look_vmcs() - read a VMCS
 * @fd: from look_open()
 * @vcpu: index
 * @which: the VMCS
 * @v: filled in
 *
 * Return: 0, or -1 after an error message.
 */
int look_vmcs(int fd, unsigned int vcpu, const struct look_which *which, struct look_vmcs *v);

/** look_memory() - as look_vmcs(), for a VMCS at an address in L1's memory; a page that is none is an error */
int look_memory(int fd, unsigned int vcpu, uint64_t gpa, struct look_vmcs *v);

/** look_memory_error() - why look_memory() cannot read a VMCS at an address, by the errno of the kernel */
const char *look_memory_error(uint64_t gpa, int err);

/** look_error() - print why a vCPU cannot be looked at, by the errno; of an older module @lacks, as in "does not explain exits" */
void look_error(unsigned int vcpu, int err, const char *lacks);

/** look_fields() - put the kernel's array of fields into @v */
void look_fields(struct look_vmcs *v, const struct droste_vmcs_field *fields, uint32_t nr);

/** look_failed() - the first of a VM's vCPUs on which a VM entry of L1 has failed; 0 if there is none */
unsigned int look_failed(int fd, unsigned int nr_vcpus);

/** look_why() - the last VM entry of L1 that failed: as look_vmcs(), with the kernel's answer in @why */
int look_why(int fd, unsigned int vcpu, struct look_vmcs *v, struct droste_why *why);

/** look_option() - take an option of struct look_at: 'v', 'p' or 'c'. Return: 0, or -1 after an error message */
int look_option(struct look_at *at, int opt, const char *value);

#define LOOK_LONGOPTS \
	{ "vm", required_argument, NULL, 'v' }, \
	{ "pid", required_argument, NULL, 'p' }, \
	{ "vcpu", required_argument, NULL, 'c' }

#endif
