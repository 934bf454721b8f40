// SPDX-License-Identifier: GPL-2.0
/* The probe's part "cpuid": each leaf with its sub-leaves, what the leaves answer that a processor lacks, and the topology. */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "probe.h"

struct regs {
	uint32_t r[4];
};

static const char *const reg_names[] = { "eax", "ebx", "ecx", "edx" };

static struct regs cpuid(uint32_t leaf, uint32_t sub)
{
	struct regs v;

	__cpuid_count(leaf, sub, v.r[0], v.r[1], v.r[2], v.r[3]);
	return v;
}

static bool same(const struct regs *a, const struct regs *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Whether a register tells which processor it is, or counts something. */
static bool differs_by_cpu(uint32_t leaf, int reg)
{
	return (leaf == 1 && reg == 1) || ((leaf == 0xb || leaf == 0x1f) && reg == 3);
}

static void say_leaf(uint32_t leaf, uint32_t sub)
{
	struct regs v = cpuid(leaf, sub);
	char name[64];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "cpuid.%#x.%#x.%s", leaf, sub, reg_names[i]);
		say(name, "0x%08x", v.r[i]);
	}
}

/* The sub-leaves that a leaf has; all leaves have sub-leaf 0. */
static uint32_t subleaves(uint32_t leaf)
{
	switch (leaf) {
	case 0x4:
		return 6;
	case 0x7: case 0xb: case 0xf: case 0x10: case 0x12: case 0x14: case 0x17: case 0x18: case 0x1d: case 0x1f: case 0x20:
		return 4;
	case 0xd:
		return 64;
	default:
		return 1;
	}
}

/* SDM 2A CPUID: above the highest basic or extended leaf, the answer is the highest basic leaf's, for the same sub-leaf. */
static void say_absent(uint32_t leaf, uint32_t highest)
{
	static const uint32_t subs[] = { 0, 1, 2, 0xffffffff };
	char name[64];

	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++) {
		struct regs got = cpuid(leaf, subs[i]), basic = cpuid(highest, subs[i]);

		snprintf(name, sizeof(name), "cpuid.absent.%#x.%#x", leaf, subs[i]);
		if (same(&got, &basic))
			say(name, "as the highest basic leaf");
		else
			say(name, "0x%08x 0x%08x 0x%08x 0x%08x", got.r[0], got.r[1], got.r[2], got.r[3]);
	}
}

/* A processor differs from the first only in its APIC ID, which three leaves must tell alike. */
static void say_cpu(int cpu, uint32_t highest, const struct regs *first)
{
	char name[64], differs[512] = "";
	uint32_t id = cpuid(1, 0).r[1] >> 24;

	for (uint32_t leaf = 0; leaf <= highest && leaf < 64; leaf++) {
		struct regs v = cpuid(leaf, 0);

		for (int i = 0; i < 4; i++)
			if (!differs_by_cpu(leaf, i) && v.r[i] != first[leaf].r[i])
				snprintf(differs + strlen(differs), sizeof(differs) - strlen(differs), " %#x.%s", leaf, reg_names[i]);
	}
	snprintf(name, sizeof(name), "cpuid.cpu%d.differs", cpu);
	say(name, "%s", *differs ? differs : "nowhere");
	snprintf(name, sizeof(name), "cpuid.cpu%d.id", cpu);
	say(name, "%u", id);
	snprintf(name, sizeof(name), "cpuid.cpu%d.ids-agree", cpu);
	say(name, "%s", (highest < 0xb || cpuid(0xb, 0).r[3] == id) && (highest < 0x1f || cpuid(0x1f, 0).r[3] == id) ? "yes" : "no");
}

void probe_cpuid(void)
{
	static const uint32_t absent[] = { 0x40000000, 0x40000001, 0x40000002, 0x40000003, 0x40000010, 0x400000ff, 0x40000100,
					   0x40000200, 0x4fffffff, 0x6a6a6a6a, 0x7fffffff, 0x8fffffff, 0x80860000, 0xc0000000, 0xffffffff };
	uint32_t highest = cpuid(0, 0).r[0], extended;
	struct regs first[64] = { 0 };
	char text[64] = "";

	on_cpu(0);
	for (uint32_t leaf = 0; leaf <= highest; leaf++) {
		if (leaf < 64)
			first[leaf] = cpuid(leaf, 0);
		for (uint32_t sub = 0; sub < subleaves(leaf); sub++)
			say_leaf(leaf, sub);
	}
	say_absent(highest + 1, highest);
	extended = cpuid(0x80000000, 0).r[0];
	for (uint32_t leaf = 0x80000000; leaf <= extended && leaf < 0x80000100; leaf++)
		say_leaf(leaf, 0);
	say_absent(extended + 1, highest);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		say_absent(absent[i], highest);
	if (highest >= 0xd) {
		struct regs area = cpuid(0xd, 0), ways = cpuid(0xd, 1);

		say("cpuid.0xd.0-and-1", "%s", same(&area, &ways) ? "the same" : "differ");
	}
	for (int i = 0; i < 3; i++) {
		struct regs v = cpuid(0x80000002 + i, 0);

		memcpy(text + 16 * i, &v, 16);
	}
	text[48] = 0;
	say("cpuid.brand", "%s", text);
	for (int cpu = 0; cpu < 64 && on_cpu(cpu); cpu++)
		say_cpu(cpu, highest, first);
	on_cpu(0);
}
