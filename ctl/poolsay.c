// SPDX-License-Identifier: GPL-2.0
/* Words for what one processor has and another has not. */
#include "poolsay.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "cpubits.h"
#include "paint.h"
#include "vmxcaps.h"

/* "CPUID 0x7.0:EBX" */
static void say_reg(char *text, size_t size, const struct pool_loss *l)
{
	if (l->what == POOL_LOST_CPUID && pool_leaf_indexed(l->leaf) == 1)
		snprintf(text, size, "CPUID 0x%x.%u:%s", l->leaf, l->subleaf, cpubit_reg(l->reg));
	else if (l->what == POOL_LOST_CPUID)
		snprintf(text, size, "CPUID 0x%x:%s", l->leaf, cpubit_reg(l->reg));
	else
		snprintf(text, size, "MSR 0x%x", l->leaf);
}

/* The MSR's name in the table of VMX capabilities, and that of a control, or of a field that begins at a bit. */
static void say_msr(char *text, size_t size, const struct pool_loss *l, unsigned int bit)
{
	/* SDM 4, table 2-2. */
	static const char *const arch_caps[] = { "RDCL_NO", "IBRS_ALL", "RSBA", "SKIP_L1DFL_VMENTRY", "SSB_NO", "MDS_NO",
						 "IF_PSCHANGE_MC_NO", "TSX_CTRL", "TAA_NO" };
	const char *msr = l->leaf == 0x10a ? "IA32_ARCH_CAPABILITIES" : "feature MSR", *name = NULL, *what = "";
	uint32_t index = l->leaf;
	bool controls = false;

	for (size_t i = 0; i < vmxcap_nr_msrs; i++)
		if (vmxcap_msrs[i].index == index || (vmxcap_msrs[i].true_index && vmxcap_msrs[i].true_index == index)) {
			msr = vmxcap_msrs[i].name;
			controls = vmxcap_msrs[i].kind == VMXCAP_CONTROLS;
			index = vmxcap_msrs[i].index;
			break;
		}
	if (controls) {
		what = bit < 32 ? "must be 1: " : "";
		bit %= 32;
	}
	for (size_t i = 0; i < vmxcap_nr_bits && !name; i++)
		if (vmxcap_bits[i].index == index && vmxcap_bits[i].low <= bit && bit < vmxcap_bits[i].low + vmxcap_bits[i].width)
			name = vmxcap_bits[i].name;
	if (l->leaf == 0x10a && bit < sizeof(arch_caps) / sizeof(arch_caps[0]))
		name = arch_caps[bit];
	if (name)
		snprintf(text, size, "%s: %s%s", msr, what, name);
	else
		snprintf(text, size, "%s: %sbit %u", msr, what, bit);
}

static unsigned int lowest(uint64_t bits)
{
	return bits ? __builtin_ctzll(bits) : 0;
}

void pool_say_bit(char *text, size_t size, const struct pool_loss *l)
{
	unsigned int bit = lowest(l->bits);
	const struct cpubit *b;
	char reg[64], name[160];

	say_reg(reg, sizeof(reg), l);
	if (l->what == POOL_LOST_MSR) {
		say_msr(name, sizeof(name), l, bit);
		snprintf(text, size, "%s (%s bit %u)", name, reg, bit);
		return;
	}
	b = cpubit_find(l->leaf, l->subleaf, l->reg, bit);
	snprintf(text, size, b ? "%s (%s bit %u)" : "a feature without name%s (%s bit %u)", b ? b->name : "", reg, bit);
}

/* --- what stays usable --- */

static bool pool_bits_there(const struct droste_pool *p, uint32_t leaf, uint32_t subleaf, unsigned int reg, uint32_t bits)
{
	const struct droste_pool_cpuid *e = pool_find((struct droste_pool *)p, leaf, subleaf);

	return e && (e->regs[reg] & bits);
}

/* Whether what is left of a processor takes a feature that CPUID hides. */
static bool taken(const struct droste_pool *less, const struct cpubit *b)
{
	switch (b->hide) {
	case HIDE_AVX:
		return !pool_bits_there(less, 0xd, 0, POOL_EAX, 1 << 2);
	case HIDE_AVX512:
		return !pool_bits_there(less, 0xd, 0, POOL_EAX, 7 << 5);
	case HIDE_AMX:
		return !pool_bits_there(less, 0xd, 0, POOL_EAX, 3 << 17);
	case HIDE_RDTSCP:
		return !pool_bits_there(less, 7, 0, POOL_ECX, 1 << 22) && !pool_bits_there(less, 0x80000001, 0, POOL_EDX, 1 << 27);
	case HIDE_NOT:
	case HIDE_NOT_RESULT:
		return false;
	default:
		return true;
	}
}

struct saying {
	FILE *out;
	const struct droste_pool *less;
	bool hidden;
	int lines;
	uint32_t leaf, subleaf;	/* the last one of which one field must be the same and is not */
};

static void say_flag(struct saying *s, const struct pool_loss *one)
{
	const struct cpubit *b = NULL;
	const char *after = "";
	char text[256];

	pool_say_bit(text, sizeof(text), one);
	if (one->what == POOL_LOST_CPUID)
		b = cpubit_find(one->leaf, one->subleaf, one->reg, lowest(one->bits));
	if (one->op == POOL_OR)
		after = ": others have it, and guests must know";
	else if (s->hidden && one->what == POOL_LOST_CPUID && (!b || !taken(s->less, b)))
		after = b && b->hide == HIDE_NOT_RESULT ?
			": STAYS USABLE, and gives another result where the processor lacks it" : ": stays usable";
	fprintf(s->out, "  %s%s%s%s\n", s->hidden && b && b->hide == HIDE_NOT_RESULT ? RED : "", text, after,
		s->hidden && b && b->hide == HIDE_NOT_RESULT ? PLAIN : "");
	s->lines++;
}

static void say_number(struct saying *s, const struct pool_loss *l)
{
	unsigned int low = 0;
	char reg[64];

	say_reg(reg, sizeof(reg), l);
	/* A field of a register: the bytes of leaf 0x80000008, the numbers in IA32_VMX_MISC. */
	if (l->what == POOL_LOST_CPUID && l->leaf == 0x80000008)
		low = lowest(l->had) & ~7U;
	else if (l->what == POOL_LOST_MSR && l->leaf == 0x485)
		low = lowest(l->had | l->has) >= 25 ? 25 : 16;
	if (l->what == POOL_LOST_CPUID && l->leaf == 0x80000008)
		fprintf(s->out, "  %s address bits %" PRIu64 " instead of %" PRIu64 " (%s)\n",
			!low ? "physical" : low == 8 ? "linear" : "guest-physical", (uint64_t)l->has >> low, (uint64_t)l->had >> low, reg);
	else
		fprintf(s->out, "  0x%" PRIx64 " instead of 0x%" PRIx64 " (%s)\n", (uint64_t)l->has >> low, (uint64_t)l->had >> low, reg);
	s->lines++;
}

static void say_loss(void *ctx, const struct pool_loss *l)
{
	struct saying *s = ctx;
	char reg[64];

	/* The MSRs of controls without "TRUE" in their names say nothing that those with it do not say. */
	if (l->what == POOL_LOST_MSR && l->leaf >= 0x481 && l->leaf <= 0x484)
		return;
	if (l->what == POOL_LOST_LIST) {
		fprintf(s->out, "  MSR 0x%x\n", l->leaf);
		s->lines++;
		return;
	}
	switch (l->op) {
	case POOL_AND:
	case POOL_OR:
		for (unsigned int bit = 0; bit < 64; bit++) {
			struct pool_loss one = *l;

			one.bits &= 1ULL << bit;
			if (one.bits)
				say_flag(s, &one);
		}
		return;
	case POOL_MIN:
		say_number(s, l);
		return;
	default:
		/* One line for all fields of a leaf or MSR, of which the last is remembered. */
		if (s->leaf == l->leaf && s->subleaf == l->subleaf)
			return;
		s->leaf = l->leaf;
		s->subleaf = l->subleaf;
		say_reg(reg, sizeof(reg), l);
		if (l->what == POOL_LOST_CPUID)
			reg[strcspn(reg, ":")] = 0;
		fprintf(s->out, "  %s, which others lack or have otherwise\n", reg);
		s->lines++;
	}
}

int pool_say_lost(FILE *out, const struct droste_pool *a, const struct droste_pool *less, bool hidden)
{
	struct saying s = { .out = out, .less = less, .hidden = hidden };

	pool_lost(a, less, say_loss, &s);
	if (pool_lost_tsc(a, less)) {
		fprintf(out, "  the TSC's frequency: %u kHz", a->tsc_khz);
		if (pool_tsc_one(less))
			fprintf(out, ", not %u kHz", less->tsc_khz);
		fprintf(out, ", and it cannot be scaled\n");
		s.lines++;
	}
	return s.lines;
}
