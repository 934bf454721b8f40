/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The strict machine: what Bochs adds to a processor when LAB_STRICT names it. docs/strict.md describes the topics.
 *
 * Bochs' own files call these functions at the places that mends.py lists. A caller tests the topic's switch first,
 * so a topic that is off costs one test on a slow path.
 */
#ifndef LAB_STRICT_H
#define LAB_STRICT_H

class BX_CPU_C;

/* The topics. Each is on if LAB_STRICT names it, and none changes after the emulator's start. */
enum strict_topic {
	STRICT_CHECKS,		/* entries that a processor takes but whose result is undefined */
	STRICT_TRANSLATIONS,	/* an invalidation that is missing */
	STRICT_VMCS,		/* misuse of VMCSs */
	STRICT_STORMS,		/* random events, seeded */
	STRICT_MSRS,		/* MSRs that hosts need and Bochs lacks */
	STRICT_TOPICS
};

extern bool strict_switches[STRICT_TOPICS];
/* The seed of the storms. */
extern unsigned long long strict_seed;

/* Returns whether a topic is on. */
static inline bool strict(strict_topic topic)
{
	return __builtin_expect(strict_switches[topic], false);
}

/*
 * Writes a sentence about misuse to strict.log in the machine's directory, and to Bochs' log. The sentence names the
 * field and its value; this function adds the CPU, its RIP and whether it is in a guest. After some sentences of one
 * format, further ones are counted but not written.
 */
void strict_report(const BX_CPU_C *cpu, strict_topic topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
