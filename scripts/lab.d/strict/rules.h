/* SPDX-License-Identifier: GPL-2.0 */
/* The switches of the rules that the lab adds to Bochs. All are in force, unless LAB_LENIENT names them. */
#ifndef LAB_STRICT_RULES_H
#define LAB_STRICT_RULES_H

enum sdm_rule {
#define RULE(symbol, name) SDM_##symbol,
#include "rules.def"
#undef RULE
	SDM_RULES
};

extern bool sdm_lenient[SDM_RULES];

/* Returns whether a rule is in force. Asked where a rule is broken, not on the way of what is right. */
static inline bool sdm(sdm_rule rule)
{
	return __builtin_expect(!sdm_lenient[rule], true);
}

#endif
