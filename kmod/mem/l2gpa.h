/* SPDX-License-Identifier: GPL-2.0 */
/* Translation of L2 guest-physical addresses to L1 guest-physical addresses by EPT12. */
#ifndef DROSTE_L2GPA_H
#define DROSTE_L2GPA_H

#include "mem/types.h"
#include "ept/ept12.h"

struct vcpu;

struct ept12_cfg l2gpa_cfg(const struct vcpu *vcpu, u64 eptp12);
enum ept12_verdict ept12_translate_again(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out);
void ept12_remember(struct vcpu *vcpu, gpa_t l2_gpa);
bool ept12_same_way(struct vcpu *vcpu, u64 *gpa);
void ept12_note_way(struct vcpu *vcpu, gpa_t l2_gpa);
unsigned long ept12_read_present(struct vcpu *vcpu, gpa_t gpa, u64 *entries, unsigned long want);
enum ept12_verdict ept12_translate_afresh(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out);
enum ept12_verdict ept12_translate(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out);
int ept12_translate_or_signal(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out,
			      enum ept12_verdict *verdict);

#endif
