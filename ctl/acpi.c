// SPDX-License-Identifier: GPL-2.0
/* Builds the ACPI tables; section numbers are those of ACPI 6.4. */
#include <string.h>

#include "acpi.h"
#include "aml.h"
#include "hpet.h"
#include "layout.h"

/* 5.2.6: header of every table except RSDP and FACS. */
struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* 5.2.5.3: root system description pointer. */
struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;	/* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t ext_checksum;	/* of the whole structure */
	uint8_t reserved[3];
} __attribute__((packed));

/* 5.2.3.2: generic address structure. */
struct acpi_gas {
	uint8_t space;		/* 1: I/O ports */
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access;		/* 1: byte, 2: word */
	uint64_t address;
} __attribute__((packed));

/* 5.2.9: fixed ACPI description table. */
struct acpi_fadt {
	struct acpi_header h;
	uint32_t facs;
	uint32_t dsdt;
	uint8_t reserved1;
	uint8_t pm_profile;
	uint16_t sci_int;
	uint32_t smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	uint32_t pm1a_evt, pm1b_evt;
	uint32_t pm1a_cnt, pm1b_cnt;
	uint32_t pm2_cnt, pm_tmr, gpe0, gpe1;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_len, gpe1_len, gpe1_base;
	uint8_t cst_cnt;
	uint16_t c2_latency, c3_latency;
	uint16_t flush_size, flush_stride;
	uint8_t duty_offset, duty_width;
	uint8_t day_alarm, month_alarm, century;
	uint16_t boot_arch;
	uint8_t reserved2;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_gas x_pm1a_evt, x_pm1b_evt;
	struct acpi_gas x_pm1a_cnt, x_pm1b_cnt;
	struct acpi_gas x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor_id;
} __attribute__((packed));

#define FADT_WBINVD		(1U << 0)
#define FADT_PROC_C1		(1U << 2)
#define FADT_NO_POWER_BUTTON	(1U << 4)
#define FADT_NO_SLEEP_BUTTON	(1U << 5)
#define FADT_RTC_NOT_FIXED	(1U << 6)
#define FADT_TIMER_32		(1U << 8)
#define FADT_RESET_REG		(1U << 10)
#define FADT_HEADLESS		(1U << 12)

/* Bit 1 is clear: there is no keyboard controller to probe for. */
#define BOOT_LEGACY_DEVICES	(1U << 0)
#define BOOT_NO_VGA		(1U << 2)

#define C_STATE_ABSENT		0xffff	/* above the largest latency allowed */

/* 5.2.10: firmware ACPI control structure. */
struct acpi_facs {
	char signature[4];
	uint32_t length;
	uint32_t hardware_signature;
	uint32_t waking_vector;
	uint32_t global_lock;
	uint32_t flags;
	uint64_t x_waking_vector;
	uint8_t version;
	uint8_t reserved[31];
} __attribute__((packed));

/* 5.2.12: multiple APIC description table and its entries. */
struct acpi_madt {
	struct acpi_header h;
	uint32_t lapic;
	uint32_t flags;		/* bit 0: the machine also has 8259s */
} __attribute__((packed));

struct madt_lapic {
	uint8_t type, length;	/* 0, 8 */
	uint8_t uid;
	uint8_t apic_id;
	uint32_t flags;		/* bit 0: enabled */
} __attribute__((packed));

struct madt_x2apic {
	uint8_t type, length;	/* 9, 16 */
	uint16_t reserved;
	uint32_t apic_id;
	uint32_t flags;
	uint32_t uid;
} __attribute__((packed));

struct madt_ioapic {
	uint8_t type, length;	/* 1, 12 */
	uint8_t id;
	uint8_t reserved;
	uint32_t address;
	uint32_t gsi_base;
} __attribute__((packed));

struct madt_override {
	uint8_t type, length;	/* 2, 10 */
	uint8_t bus;		/* 0: ISA */
	uint8_t irq;
	uint32_t gsi;
	uint16_t flags;
} __attribute__((packed));

struct madt_lapic_nmi {
	uint8_t type, length;	/* 4, 6 */
	uint8_t uid;		/* 0xff: all processors */
	uint16_t flags;
	uint8_t lint;
} __attribute__((packed));

#define MADT_HIGH_LEVEL	0x000d	/* active high, level triggered */

/* The number of xAPIC IDs; 255 is the broadcast address. */
#define XAPIC_IDS	255

_Static_assert(sizeof(struct acpi_header) == 36, "table header");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");
_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT revision 6");
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");
_Static_assert(ACPI_MAX_CPUS * sizeof(struct madt_x2apic) + 4096 <=
	       GPA_SMBIOS - GPA_BIOS, "the largest MADT leaves room for the other tables");

/*
 * The DSDT's AML, assembled by hand (20.2: AML grammar). A package length
 * includes its own encoding; all are below 64 and thus take one byte.
 */
static const uint8_t dsdt_aml[] = {
	/* Name (_S5, Package (4) { S5_SLP_TYP, 0, 0, 0 }) */
	0x08, '_', 'S', '5', '_',
	0x12, 7, 4, 0x0a, S5_SLP_TYP, 0x00, 0x00, 0x00,
	/* Scope (\_SB) { */
	0x10, 51, '\\', '_', 'S', 'B', '_',
	/*   Device (COM1) { */
	0x5b, 0x82, 43, 'C', 'O', 'M', '1',
	/*     Name (_HID, EisaId ("PNP0501")) */
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01,
	/*     Name (_UID, One) */
	0x08, '_', 'U', 'I', 'D', 0x01,
	/*     Name (_CRS, Buffer (13) { */
	0x08, '_', 'C', 'R', 'S', 0x11, 16, 0x0a, 13,
	/*       IO (Decode16, 0x3f8, 0x3f8, 1, 8) */
	0x47, 0x01, PORT_COM1 & 0xff, PORT_COM1 >> 8,
	PORT_COM1 & 0xff, PORT_COM1 >> 8, 1, 8,
	/*       IRQNoFlags () { IRQ_COM1 }, EndTag */
	0x22, (1 << IRQ_COM1) & 0xff, (1 << IRQ_COM1) >> 8, 0x79, 0x00,
	/* } } } */
};

/* IA-PC HPET specification 1.0a, 3.2.4. */
struct acpi_hpet {
	struct acpi_header h;
	uint32_t id;
	struct acpi_gas address;	/* space 0: memory */
	uint8_t number;
	uint16_t min_tick;
	uint8_t protection;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_hpet) == 56, "HPET");

/* The position of the next table. */
struct builder {
	struct guest_mem *mem;
	uint64_t next;
	const struct profile *profile;	/* whose identities the tables have, or NULL */
};

/*
 * Reserves zeroed space and stores its guest-physical address in @gpa.
 * acpi_build() has checked that the largest possible tables fit.
 */
static void *reserve(struct builder *b, uint64_t len, uint64_t *gpa)
{
	*gpa = (b->next + 63) & ~63ULL;
	b->next = *gpa + len;
	return memset(mem_at(b->mem, *gpa, len), 0, len);
}

uint8_t table_checksum(const void *p, size_t len)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (len--)
		sum += *byte++;
	return -sum;
}

/* Fills in the header. Must be called after the rest of the table is written. */
static void finish(const struct builder *b, struct acpi_header *h, const char *signature,
		   uint8_t revision, uint32_t length)
{
	const struct profile_acpi *id = profile_acpi_find(b->profile, signature);

	memcpy(h->signature, signature, 4);
	h->length = length;
	h->revision = revision;
	memcpy(h->oem_id, id ? id->oem : "DROSTE", 6);
	memcpy(h->oem_table_id, id ? id->table : "DROSTECT", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, id ? id->creator : "DRST", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = table_checksum(h, length);
}

static struct acpi_gas io_register(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct acpi_gas){
		.space = 1, .bits = 8 * bytes, .access = access, .address = port,
	};
}

static uint64_t build_facs(struct builder *b)
{
	uint64_t gpa;
	struct acpi_facs *facs = reserve(b, sizeof(*facs), &gpa);

	memcpy(facs->signature, "FACS", 4);
	facs->length = sizeof(*facs);
	facs->version = 2;
	return gpa;
}

static uint64_t build_dsdt(struct builder *b)
{
	struct aml more = { .len = 0 };
	uint64_t gpa;
	struct acpi_header *h;
	uint32_t len;

	if (b->profile)
		aml_machine(&more, b->profile);
	len = sizeof(struct acpi_header) + sizeof(dsdt_aml) + more.len;
	h = reserve(b, len, &gpa);
	memcpy(h + 1, dsdt_aml, sizeof(dsdt_aml));
	memcpy((uint8_t *)(h + 1) + sizeof(dsdt_aml), more.byte, more.len);
	finish(b, h, "DSDT", 2, len);
	return gpa;
}

static uint64_t build_fadt(struct builder *b, uint64_t facs, uint64_t dsdt)
{
	uint64_t gpa;
	struct acpi_fadt *f = reserve(b, sizeof(*f), &gpa);

	f->facs = facs;
	f->dsdt = dsdt;
	f->x_dsdt = dsdt;	/* x_facs stays 0: only one FACS address may be set */
	f->sci_int = IRQ_SCI;
	/* No SMI command port: the machine is in ACPI mode from the start. */
	f->pm1a_evt = PORT_PM1_EVT;
	f->pm1_evt_len = 4;
	f->x_pm1a_evt = io_register(PORT_PM1_EVT, 4, 2);
	f->pm1a_cnt = PORT_PM1_CNT;
	f->pm1_cnt_len = 2;
	f->x_pm1a_cnt = io_register(PORT_PM1_CNT, 2, 2);
	if (b->profile) {
		f->pm_tmr = PORT_PM_TMR;
		f->pm_tmr_len = 4;
		f->x_pm_tmr = io_register(PORT_PM_TMR, 4, 3);
		f->flags = FADT_TIMER_32;
	}
	f->c2_latency = C_STATE_ABSENT;
	f->c3_latency = C_STATE_ABSENT;
	f->century = 0x32;
	f->boot_arch = BOOT_LEGACY_DEVICES | BOOT_NO_VGA;
	f->flags |= FADT_WBINVD | FADT_PROC_C1 | FADT_NO_POWER_BUTTON |
		   FADT_NO_SLEEP_BUTTON | FADT_RTC_NOT_FIXED | FADT_RESET_REG |
		   FADT_HEADLESS;
	f->reset_reg = io_register(PORT_RESET, 1, 1);
	f->reset_value = 0x06;
	f->minor_revision = 4;
	finish(b, &f->h, "FACP", 6, sizeof(*f));
	return gpa;
}

/* Copies an entry to @p. Returns the position of the next entry. */
static uint8_t *append(uint8_t *p, const void *entry, size_t len)
{
	return (uint8_t *)memcpy(p, entry, len) + len;
}

static uint8_t *madt_cpu(uint8_t *p, uint32_t id)
{
	const struct madt_lapic xapic = { 0, sizeof(xapic), id, id, 1 };
	const struct madt_x2apic x2apic = { 9, sizeof(x2apic), 0, id, 1, id };

	if (id < XAPIC_IDS)
		return append(p, &xapic, sizeof(xapic));
	return append(p, &x2apic, sizeof(x2apic));
}

/*
 * Every ISA interrupt, including the timer's, reaches the I/O APIC pin of the
 * same number. A VM of the KVM API starts with this GSI routing.
 */
static uint64_t build_madt(struct builder *b, unsigned int ncpus)
{
	const struct madt_ioapic ioapic = {
		1, sizeof(ioapic), 0, 0, GPA_IOAPIC, 0,
	};
	const struct madt_override sci = {
		2, sizeof(sci), 0, IRQ_SCI, IRQ_SCI, MADT_HIGH_LEVEL,
	};
	const struct madt_lapic_nmi nmi = { 4, sizeof(nmi), 0xff, 0, 1 };
	uint64_t room = sizeof(struct acpi_madt) + sizeof(ioapic) +
			sizeof(sci) + sizeof(nmi) +
			(uint64_t)ncpus * sizeof(struct madt_x2apic);
	uint64_t gpa;
	struct acpi_madt *madt = reserve(b, room, &gpa);
	uint8_t *p = (uint8_t *)(madt + 1);

	madt->lapic = GPA_LAPIC;
	madt->flags = 1;
	for (unsigned int i = 0; i < ncpus; i++)
		p = madt_cpu(p, i);
	p = append(p, &ioapic, sizeof(ioapic));
	p = append(p, &sci, sizeof(sci));
	p = append(p, &nmi, sizeof(nmi));
	finish(b, &madt->h, "APIC", 5, p - (uint8_t *)madt);
	return gpa;
}

static uint64_t build_hpet(struct builder *b)
{
	uint64_t gpa;
	struct acpi_hpet *t = reserve(b, sizeof(*t), &gpa);

	t->id = HPET_ID;
	t->address = (struct acpi_gas){ .bits = 64, .address = GPA_HPET };
	t->min_tick = 0x80;
	finish(b, &t->h, "HPET", 1, sizeof(*t));
	return gpa;
}

static uint64_t build_xsdt(struct builder *b, const uint64_t *tables, size_t n)
{
	uint32_t len = sizeof(struct acpi_header) + n * sizeof(*tables);
	uint64_t gpa;
	struct acpi_header *h = reserve(b, len, &gpa);

	memcpy(h + 1, tables, n * sizeof(*tables));
	finish(b, h, "XSDT", 1, len);
	return gpa;
}

uint64_t acpi_build(struct guest_mem *mem, unsigned int ncpus, const struct profile *profile)
{
	struct builder b = { .mem = mem, .next = GPA_BIOS, .profile = profile };
	const struct profile_acpi *id = profile_acpi_find(profile, "RSDP");
	uint64_t rsdp_gpa, facs, dsdt, tables[3];
	size_t n = 0;
	struct acpi_rsdp *rsdp;

	if (ncpus > ACPI_MAX_CPUS || !mem_at(mem, GPA_BIOS, GPA_HIGH - GPA_BIOS))
		return 0;
	rsdp = reserve(&b, sizeof(*rsdp), &rsdp_gpa);
	facs = build_facs(&b);
	dsdt = build_dsdt(&b);
	tables[n++] = build_fadt(&b, facs, dsdt);
	tables[n++] = build_madt(&b, ncpus);
	if (profile_has_hpet(profile))
		tables[n++] = build_hpet(&b);
	rsdp->xsdt = build_xsdt(&b, tables, n);
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, id ? id->oem : "DROSTE", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->checksum = table_checksum(rsdp, 20);
	rsdp->ext_checksum = table_checksum(rsdp, sizeof(*rsdp));
	return rsdp_gpa;
}
