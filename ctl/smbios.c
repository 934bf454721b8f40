// SPDX-License-Identifier: GPL-2.0
/* Writes the tables of SMBIOS; section numbers are those of SMBIOS 3.1. */
#include <string.h>

#include "acpi.h"
#include "layout.h"
#include "say.h"
#include "smbios.h"

/* 5.2.1: the entry point of versions 2. */
struct smbios_entry {
	char anchor[4];			/* "_SM_" */
	uint8_t checksum;
	uint8_t length;
	uint8_t major, minor;
	uint16_t largest;		/* structure, in bytes */
	uint8_t revision;
	uint8_t formatted[5];
	char dmi_anchor[5];		/* "_DMI_" */
	uint8_t dmi_checksum;		/* from there on */
	uint16_t table_length;
	uint32_t table;
	uint16_t count;
	uint8_t bcd;
} __attribute__((packed));

/* 5.2.2: that of versions 3. */
struct smbios_entry3 {
	char anchor[5];			/* "_SM3_" */
	uint8_t checksum;
	uint8_t length;
	uint8_t major, minor, docrev;
	uint8_t revision;		/* 1 */
	uint8_t reserved;
	uint32_t most;			/* bytes of the table */
	uint64_t table;
} __attribute__((packed));

_Static_assert(sizeof(struct smbios_entry) == 31, "entry point of SMBIOS 2");
_Static_assert(sizeof(struct smbios_entry3) == 24, "entry point of SMBIOS 3");

#define TYPE_END	127	/* 7.45 */
#define TABLE_OFFSET	32

static void write_entry(uint8_t *at, const struct profile *p, uint32_t size, uint16_t largest, uint16_t count)
{
	struct smbios_entry e = {
		.anchor = "_SM_", .length = sizeof(e), .major = p->smbios_major, .minor = p->smbios_minor, .largest = largest,
		.dmi_anchor = { '_', 'D', 'M', 'I', '_' }, .table_length = size, .table = GPA_SMBIOS + TABLE_OFFSET, .count = count,
		.bcd = p->smbios_minor < 10 ? p->smbios_major << 4 | p->smbios_minor : 0,
	};
	struct smbios_entry3 e3 = {
		.anchor = { '_', 'S', 'M', '3', '_' }, .length = sizeof(e3), .major = p->smbios_major, .minor = p->smbios_minor,
		.revision = 1, .most = size, .table = GPA_SMBIOS + TABLE_OFFSET,
	};

	if (p->smbios_major >= 3) {
		e3.checksum = table_checksum(&e3, sizeof(e3));
		memcpy(at, &e3, sizeof(e3));
		return;
	}
	e.dmi_checksum = table_checksum(e.dmi_anchor, sizeof(e) - __builtin_offsetof(struct smbios_entry, dmi_anchor));
	e.checksum = table_checksum(&e, sizeof(e));
	memcpy(at, &e, sizeof(e));
}

int smbios_build(struct guest_mem *mem, const struct profile *p)
{
	static const uint8_t end[] = { TYPE_END, 4, 0xff, 0xfe, 0, 0 };
	uint8_t *area = mem_at(mem, GPA_SMBIOS, GPA_HIGH - GPA_SMBIOS);
	uint32_t room = GPA_HIGH - GPA_SMBIOS - TABLE_OFFSET, size = 0, largest = 0;
	unsigned int count = p->nr_smbios;
	bool ends = count && p->smbios[count - 1].bytes[0] == TYPE_END;

	if (!area) {
		say("the guest's memory has no place for SMBIOS");
		return -1;
	}
	for (unsigned int i = 0; i < count; i++) {
		const struct profile_smbios *s = &p->smbios[i];

		if (size + s->length + sizeof(end) > room) {
			say("the profile's structures of SMBIOS are more than %u bytes", room);
			return -1;
		}
		memcpy(area + TABLE_OFFSET + size, s->bytes, s->length);
		size += s->length;
		largest = s->length > largest ? s->length : largest;
	}
	if (!ends) {
		memcpy(area + TABLE_OFFSET + size, end, sizeof(end));
		size += sizeof(end);
		count++;
	}
	write_entry(area, p, size, largest, count);
	return 0;
}
