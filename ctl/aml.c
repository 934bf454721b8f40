// SPDX-License-Identifier: GPL-2.0
/* Assembles AML; section numbers are those of ACPI 6.4. */
#include "aml.h"

#include <string.h>

#include "hpet.h"
#include "layout.h"
#include "profile.h"

/* 20.2.5.2 */
static const uint8_t op_scope[] = { 0x10 }, op_device[] = { 0x5b, 0x82 }, op_thermal_zone[] = { 0x5b, 0x85 };

/* All that a profile can have fits: profile_test.c builds it. */
static void put(struct aml *a, const void *bytes, size_t n)
{
	memcpy(a->byte + a->len, bytes, n);
	a->len += n;
}

static void put8(struct aml *a, uint8_t byte)
{
	put(a, &byte, 1);
}

/* 20.2.4: a length of two bytes, which includes themselves. Returns where it is, for end(). */
static size_t begin(struct aml *a, const uint8_t *op, size_t n, const char *name)
{
	size_t at;

	put(a, op, n);
	at = a->len;
	a->len += 2;
	put(a, name, strlen(name));
	return at;
}

static void end(struct aml *a, size_t at)
{
	size_t len = a->len - at;

	a->byte[at] = 1 << 6 | (len & 0xf);
	a->byte[at + 1] = len >> 4;
}

/* Name (NAME, value): DWordConst. 20.2.3 */
static void name_number(struct aml *a, const char *name, uint32_t value)
{
	put8(a, 0x08);
	put(a, name, 4);
	put8(a, 0x0c);
	put(a, &value, 4);
}

/* Name (_HID, EisaId ("PNPxxxx")). 6.1.5: three letters in five bits each, and the digits, the highest byte first. */
static void name_pnp(struct aml *a, uint16_t id)
{
	name_number(a, "_HID", 0xd041 | (uint32_t)(id >> 8) << 16 | (uint32_t)(id & 0xff) << 24);
}

/* Name (_CRS, Buffer () { resources, EndTag }). 6.4 */
static void name_resources(struct aml *a, const uint8_t *resources, uint8_t n)
{
	put8(a, 0x08);
	put(a, "_CRS", 4);
	/* BufferOp, its length, ByteConst of the size. */
	put8(a, 0x11);
	put8(a, 1 + 2 + n + 2);
	put8(a, 0x0a);
	put8(a, n + 2);
	put(a, resources, n);
	put8(a, 0x79);
	put8(a, 0);
}

static void device(struct aml *a, const char *name, uint16_t pnp, const uint8_t *resources, uint8_t n)
{
	size_t at = begin(a, op_device, sizeof(op_device), name);

	name_pnp(a, pnp);
	name_resources(a, resources, n);
	end(a, at);
}

/* IO (Decode16, port, port, 1, count). 6.4.2.5 */
#define IO(port, count)	0x47, 0x01, (port) & 0xff, (port) >> 8, (port) & 0xff, (port) >> 8, 1, count
/* IRQNoFlags () { irq }. 6.4.2.1 */
#define IRQ(irq)	0x22, (1 << (irq)) & 0xff, (1 << (irq)) >> 8

/* Degrees Celsius in tenths of kelvins. 11.4 */
static uint32_t decikelvin(unsigned int celsius)
{
	return 2732 + 10 * celsius;
}

void aml_machine(struct aml *a, const struct profile *p)
{
	static const uint8_t pit[] = { IO(0x40, 4), IRQ(0) }, rtc[] = { IO(PORT_RTC, 2) };
	/* Memory32Fixed (ReadOnly, GPA_HPET, HPET_SIZE). 6.4.3.4 */
	static const uint8_t hpet[] = {
		0x86, 9, 0, 0, GPA_HPET & 0xff, GPA_HPET >> 8 & 0xff, GPA_HPET >> 16 & 0xff, GPA_HPET >> 24,
		HPET_SIZE & 0xff, HPET_SIZE >> 8, 0, 0,
	};
	size_t scope = begin(a, op_scope, sizeof(op_scope), "\\_SB_"), zone;

	device(a, "TIMR", 0x0100, pit, sizeof(pit));
	device(a, "RTC_", 0x0b00, rtc, sizeof(rtc));
	if (profile_has_hpet(p))
		device(a, "HPET", 0x0103, hpet, sizeof(hpet));
	end(a, scope);
	if (!p->thermal_critical)
		return;
	scope = begin(a, op_scope, sizeof(op_scope), "\\_TZ_");
	zone = begin(a, op_thermal_zone, sizeof(op_thermal_zone), "TZ00");
	name_number(a, "_TMP", decikelvin(p->thermal_now));
	name_number(a, "_CRT", decikelvin(p->thermal_critical));
	end(a, zone);
	end(a, scope);
}
