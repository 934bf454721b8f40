// SPDX-License-Identifier: GPL-2.0
/* Reads a VMCS, and VMX capabilities, from JSON: see "JSON" in drostectl(8). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "jsonread.h"
#include "say.h"
#include "vmcsfile.h"
#include "vmxcaps.h"

#define MSRS	VMX_CAPS_NR

/* The number of a field by its name, or by its encoding as "0x681e"; -1 if there is none. */
static int field_by_name(const char *name)
{
	char *end;
	unsigned long enc = strtoul(name, &end, 16);
	bool numeric = !strncmp(name, "0x", 2) && !*end;

	for (int i = 0; i < NR_VMCS12_FIELDS; i++)
		if (numeric ? vmcs12_fields[i].enc == enc : !strcasecmp(vmcs12_fields[i].name, name))
			return i;
	return -1;
}

/* Whether a value has no more bits than its field. */
static bool fits(const struct vmcs12_field *f, uint64_t val)
{
	return f->width == VMCS12_WIDTH_16 ? val <= 0xffff : f->width != VMCS12_WIDTH_32 || val <= 0xffffffff;
}

static int take_fields(struct vmcs_file *f, const char *name, const struct json_node *fields)
{
	for (const struct json_node *n = fields->child; n; n = n->next) {
		int field = field_by_name(n->key);
		uint64_t val;

		if (field < 0) {
			if (!f->ignored++)
				snprintf(f->first_ignored, sizeof(f->first_ignored), "%s", n->key);
			continue;
		}
		if (json_number(n, &val) || !fits(&vmcs12_fields[field], val)) {
			say("%s: the value of %s is no number of its width", name, n->key);
			return -1;
		}
		vmcs_file_set(f, field, val);
	}
	return 0;
}

static void take_cap(struct vmcs_file *f, uint32_t msr, uint64_t val)
{
	if (msr < VMX_CAPS_FIRST || msr >= VMX_CAPS_FIRST + MSRS)
		return;
	*vmx_caps_msr(&f->caps, msr) = val;
	f->caps_known |= 1u << (msr - VMX_CAPS_FIRST);
}

/* "capabilities": an object with the MSRs' numbers and values. */
static int take_caps(struct vmcs_file *f, const char *name, const struct json_node *caps)
{
	for (const struct json_node *n = caps->child; n; n = n->next) {
		char *end;
		unsigned long msr = strtoul(n->key, &end, 16);
		uint64_t val;

		if (*end || msr < VMX_CAPS_FIRST || msr >= VMX_CAPS_FIRST + MSRS) {
			say("%s: capability \"%.20s\" is none of the MSRs 0x480 to 0x491", name, n->key);
			return -1;
		}
		if (json_number(n, &val)) {
			say("%s: the value of capability %s is no number", name, n->key);
			return -1;
		}
		take_cap(f, msr, val);
	}
	return 0;
}

/* The value in a row of "drostectl info --json": 16 digits without "0x". */
static int info_value(const struct json_node *row, const char *side, uint64_t *val)
{
	const char *text = json_member_text(row, side);
	char *end;

	if (!text || strlen(text) != 16)
		return -1;
	*val = strtoull(text, &end, 16);
	return *end ? -1 : 0;
}

/* The rows "msrs" of "drostectl info --json"; a row has the value of the "true" MSR if there is one. */
static void take_info(struct vmcs_file *f, const struct json_node *rows, const char *side)
{
	for (const struct json_node *n = rows->child; n; n = n->next) {
		const struct json_node *index = json_member(n, "index");
		uint64_t msr, val;

		if (json_number(index, &msr) || info_value(n, side, &val))
			continue;
		take_cap(f, msr, val);
		for (size_t i = 0; i < vmxcap_nr_msrs; i++)
			if (vmxcap_msrs[i].index == msr && vmxcap_msrs[i].true_index)
				take_cap(f, vmxcap_msrs[i].true_index, val);
	}
}

/* The physical-address width in the rows "cpuid" of "drostectl info --json". */
static void take_info_width(struct vmcs_file *f, const struct json_node *rows, const char *side)
{
	for (const struct json_node *n = rows ? rows->child : NULL; n; n = n->next) {
		const char *title = json_member_text(n, "name");
		uint64_t val;

		if (title && !strcmp(title, "Physical address bits") &&
		    !json_number(json_member(n, side), &val) && val >= 32 && val <= 52)
			f->maxphyaddr = val;
	}
}

static int take_width(struct vmcs_file *f, const char *name, const struct json_node *top)
{
	const struct json_node *width = json_member(top, "maxphyaddr");
	uint64_t val;

	if (!width)
		return 0;
	if (json_number(width, &val) || val < 32 || val > 52) {
		say("%s: maxphyaddr is no number from 32 to 52", name);
		return -1;
	}
	f->maxphyaddr = val;
	return 0;
}

static struct json_node *parse(const char *name, char *text)
{
	int line;
	struct json_node *top = json_parse(text, &line);

	if (!top && line)
		say("%s: not JSON: error in line %d", name, line);
	else if (!top)
		say("%s: the JSON has more than %d values", name, JSON_NODES_MAX);
	return top;
}

int vmcs_json_caps(struct vmcs_file *f, const char *name, char *text, bool offered)
{
	struct json_node *top = parse(name, text);
	const struct json_node *caps = json_member(top, "capabilities"), *info = json_member(top, "msrs");
	const char *side = offered ? "offered" : "processor";
	int ret = -1;

	if (!top)
		return -1;
	f->caps_known = 0;
	f->maxphyaddr = 0;
	if (caps && caps->kind == JSON_OBJECT) {
		ret = take_caps(f, name, caps) ?: take_width(f, name, top);
	} else if (info && info->kind == JSON_ARRAY) {
		take_info(f, info, side);
		take_info_width(f, json_member(top, "cpuid"), side);
		ret = 0;
	} else {
		say("%s: has neither \"capabilities\" nor the \"msrs\" of drostectl info --json", name);
	}
	json_free(top);
	return ret;
}

int vmcs_json_parse(struct vmcs_file *f, const char *name, char *text)
{
	struct json_node *top = parse(name, text);
	const struct json_node *fields = json_member(top, "fields"), *caps = json_member(top, "capabilities");
	uint64_t val;
	int ret = -1;

	if (!top)
		return -1;
	f->source = VMCS_FROM_JSON;
	if (!fields || fields->kind != JSON_OBJECT)
		say("%s: the JSON has no object \"fields\"", name);
	else
		ret = take_fields(f, name, fields);
	if (!ret && caps && caps->kind == JSON_OBJECT)
		ret = take_caps(f, name, caps);
	if (!ret)
		ret = take_width(f, name, top);
	if (!ret && json_member(top, "vmptr")) {
		ret = json_number(json_member(top, "vmptr"), &val);
		if (ret)
			say("%s: vmptr is no number", name);
		f->vmptr = val;
	}
	json_free(top);
	if (!ret && !memchr(f->known, true, sizeof(f->known))) {
		say("%s: the JSON has no VMCS field%s%s", name, f->ignored ? "; unknown is " : "",
		    f->first_ignored);
		return -1;
	}
	return ret;
}
