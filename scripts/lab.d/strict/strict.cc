/* SPDX-License-Identifier: GPL-2.0 */
/* The switches of the strict machine, and its reports. */
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
#define LOG_THIS genlog->

bool strict_switches[STRICT_TOPICS];
bool sdm_lenient[SDM_RULES];
unsigned long long strict_seed = 1, strict_storm_gap = 20000;

namespace {

const char *const topic_names[STRICT_TOPICS] = { "checks", "translations", "vmcs", "storms", "msrs" };
const char *const rule_names[SDM_RULES] = {
#define RULE(symbol, name) name,
#include "cpu/strict/rules.def"
#undef RULE
};
const unsigned MOST_OF_FORMAT = 5;	/* sentences of one format that are written */
const unsigned MOST = 200;		/* sentences that are written in all */

unsigned written;
std::map<const char *, unsigned> of_format;

/* Switches a topic on: its name, or its name, an equals sign and its argument. "all" is every topic. */
void switch_on(char *word)
{
	char *argument = strchr(word, '=');

	if (argument)
		*argument++ = 0;
	for (unsigned t = 0; t < STRICT_TOPICS; t++) {
		if (strcmp(word, topic_names[t]) && strcmp(word, "all"))
			continue;
		strict_switches[t] = true;
		if (t == STRICT_STORMS && argument) {
			strict_seed = strtoull(argument, &argument, 0);
			if (*argument == '/')
				strict_storm_gap = strtoull(argument + 1, NULL, 0);
		}
	}
}

/* Switches a rule of the SDM off. "all" is every rule. */
void switch_off(char *word)
{
	for (unsigned r = 0; r < SDM_RULES; r++)
		sdm_lenient[r] |= !strcmp(word, rule_names[r]) || !strcmp(word, "all");
}

void each_word(const char *variable, void (*take)(char *word))
{
	const char *list = getenv(variable);
	char *copy = list ? strdup(list) : NULL;

	for (char *word = copy ? strtok(copy, ",") : NULL; word; word = strtok(NULL, ","))
		take(word);
	free(copy);
}

/* The switches are read before main(), so that no start-up code needs a hook. */
bool read_switches()
{
	each_word("LAB_STRICT", switch_on);
	each_word("LAB_LENIENT", switch_off);
	return true;
}

const bool switches_are_read = read_switches();

/* Returns the file of the reports. The emulator runs in the machine's directory. */
FILE *report_file()
{
	static FILE *f = fopen("strict.log", "w");

	return f;
}

} /* namespace */

void strict_report(const BX_CPU_C *cpu, strict_topic topic, const char *format, ...)
{
	char sentence[400];
	unsigned count = ++of_format[format];
	va_list arguments;

	if (count > MOST_OF_FORMAT + 1 || written >= MOST)
		return;
	written++;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	const char *rest = count > MOST_OF_FORMAT ? " (and more of these)" : "";

	BX_ERROR(("STRICT %s: %s%s", topic_names[topic], sentence, rest));
	if (!report_file())
		return;
	fprintf(report_file(), "STRICT %s: %s [CPU %u, RIP %#llx, %s]%s\n", topic_names[topic], sentence, cpu->bx_cpuid,
		(unsigned long long)cpu->prev_rip, cpu->in_vmx_guest ? "guest" : "root", rest);
	fflush(report_file());
}
