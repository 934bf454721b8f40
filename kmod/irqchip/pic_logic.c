// SPDX-License-Identifier: GPL-2.0
/* 8259A pair behaviour according to Intel's 8259A data sheet, plus the PIIX's edge/level registers. */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "pic_logic.h"

#define PIC_CASCADE	2	/* input of the master that the slave drives */

/**
 * pic_init() - put both chips into their power-up state
 * @p: the pair
 *
 * The lines that can be level-triggered are those of a PIIX.
 *
 * Context: Any. The pair is not shared yet.
 */
void pic_init(struct pic_pair *p)
{
	memset(p, 0, sizeof(*p));
	p->chip[0].elcr_mask = 0xf8;	/* all but 0, 1 and 2 */
	p->chip[1].elcr_mask = 0xde;	/* all but 8 and 13 */
}

/* The urgency of the most urgent pin of @bits in the rotated order: 0 is the first; 8 if there is no pin. */
static int pic_first_rank(const struct kvm_pic_state *s, u8 bits)
{
	return bits ? __ffs((bits | bits << 8) >> s->priority_add) : 8;
}

static int pic_pin_of(const struct kvm_pic_state *s, int rank)
{
	return (rank + s->priority_add) & 7;
}

/* The pin that one chip would serve now, given its in-service bits; -1 if there is none. */
static __always_inline int pic_chip_request(const struct kvm_pic_state *s, u8 irr, bool master)
{
	u8 requests = irr & ~s->imr, blocking = s->isr;
	int rank;

	if (!requests)
		return -1;
	/* Special mask mode: the in-service bit of a masked pin blocks no other pin. */
	if (s->special_mask)
		blocking &= ~s->imr;
	/* Special fully nested mode: the slave can interrupt while one of its interrupts is in service. */
	if (master && s->special_fully_nested_mode)
		blocking &= ~BIT(PIC_CASCADE);
	rank = pic_first_rank(s, requests);
	return rank < pic_first_rank(s, blocking) ? pic_pin_of(s, rank) : -1;
}

/* The slave's INT output is wired to input 2 of the master, so that bit of IRR is computed rather than stored. */
static __always_inline u8 pic_master_irr(const struct pic_pair *p)
{
	u8 irr = p->chip[0].irr & ~BIT(PIC_CASCADE);

	if (pic_chip_request(&p->chip[1], p->chip[1].irr, false) >= 0)
		irr |= BIT(PIC_CASCADE);
	return irr;
}

static __always_inline int pic_master_request(const struct pic_pair *p)
{
	return pic_chip_request(&p->chip[0], pic_master_irr(p), true);
}

/**
 * pic_set_line() - a device raises or lowers its line
 * @p: the pair
 * @pin: 0 to 15
 * @source: one of the sources that share the line, which is up while any of them asserts it
 * @level: true to raise the line
 *
 * An edge stays latched if the line drops before it is acknowledged, because
 * sources of edges send pulses.
 *
 * Context: Any. Caller holds the lock that guards @p.
 * Return: 1 for a new request, 0 if one was pending already, -1 if the pin is masked.
 */
int pic_set_line(struct pic_pair *p, unsigned int pin, unsigned int source, bool level)
{
	struct kvm_pic_state *s = &p->chip[pin / 8];
	u8 bit = BIT(pin % 8);
	int ret = 1;

	if (level)
		p->sources[pin] |= BIT(source);
	else
		p->sources[pin] &= ~BIT(source);

	if (!p->sources[pin]) {
		s->last_irr &= ~bit;
		if (s->elcr & bit)
			s->irr &= ~bit;
	} else if ((s->elcr & bit) || !(s->last_irr & bit)) {
		ret = !(s->irr & bit);
		s->irr |= bit;
		s->last_irr |= bit;
	}
	return s->imr & bit ? -1 : ret;
}

/* Clear in-service bits, and record them in @acked for notifications. */
static void pic_clear_isr(struct pic_pair *p, int chip, u8 bits)
{
	p->acked |= (p->chip[chip].isr & bits) << (chip * 8);
	p->chip[chip].isr &= ~bits;
}

/* INTA of one chip: move the request into service. */
static void pic_take(struct pic_pair *p, int chip, int pin)
{
	struct kvm_pic_state *s = &p->chip[chip];

	s->isr |= BIT(pin);
	/* A level-triggered request stays pending as long as the line is up. */
	if (!(s->elcr & BIT(pin)))
		s->irr &= ~BIT(pin);
	if (s->auto_eoi) {
		if (s->rotate_on_auto_eoi)
			s->priority_add = (pin + 1) & 7;
		pic_clear_isr(p, chip, BIT(pin));
	}
}

/**
 * pic_pending() - the vector that an INTA would return now
 * @p: the pair
 *
 * Context: Any. Caller holds the lock that guards @p.
 * Return: the vector, -1 while INT is low.
 */
int pic_pending(const struct pic_pair *p)
{
	int pin = pic_master_request(p);

	if (pin < 0)
		return -1;
	if (pin != PIC_CASCADE)
		return p->chip[0].irq_base + pin;
	return p->chip[1].irq_base + pic_chip_request(&p->chip[1], p->chip[1].irr, false);
}

/**
 * pic_inta() - the processor acknowledges
 * @p: the pair
 *
 * Context: Any. Caller holds the lock that guards @p.
 * Return: the vector; that of input 7 if there is no request any more (a spurious interrupt).
 */
int pic_inta(struct pic_pair *p)
{
	int pin = pic_master_request(p);
	int pin2;

	if (pin < 0)
		return p->chip[0].irq_base + 7;
	if (pin != PIC_CASCADE) {
		pic_take(p, 0, pin);
		return p->chip[0].irq_base + pin;
	}
	pin2 = pic_chip_request(&p->chip[1], p->chip[1].irr, false);
	pic_take(p, 0, PIC_CASCADE);
	pic_take(p, 1, pin2);
	return p->chip[1].irq_base + pin2;
}

/* ICW1 resets the chip. Level-triggered lines that are up keep requesting. */
static void pic_icw1(struct pic_pair *p, int chip, u8 val)
{
	struct kvm_pic_state *s = &p->chip[chip];

	pic_clear_isr(p, chip, 0xff);
	/* Pending edges are dropped, which counts as an acknowledgement for the listeners. */
	p->acked |= (s->irr & ~s->elcr) << (chip * 8);
	s->irr &= s->elcr;
	s->last_irr = 0;
	s->imr = 0;
	s->priority_add = 0;
	s->special_mask = 0;
	s->read_reg_select = 0;
	s->poll = 0;
	s->init4 = val & 1;
	if (!s->init4) {
		s->special_fully_nested_mode = 0;
		s->auto_eoi = 0;
	}
	s->init_state = PIC_WANTS_ICW2;
}

/* OCW2: the EOI and rotation commands of bits 7:5. */
static void pic_ocw2(struct pic_pair *p, int chip, u8 val)
{
	struct kvm_pic_state *s = &p->chip[chip];
	bool rotate = val & 0x80, specific = val & 0x40, eoi = val & 0x20;
	u8 in_service = s->isr;
	int pin;

	if (!eoi && !specific) {
		s->rotate_on_auto_eoi = rotate;
		return;
	}
	if (!eoi && !rotate)
		return;		/* no operation */
	if (specific) {
		pin = val & 7;
	} else {
		/* In special mask mode a non-specific EOI does not end masked pins. */
		if (s->special_mask)
			in_service &= ~s->imr;
		if (!in_service)
			return;
		pin = pic_pin_of(s, pic_first_rank(s, in_service));
	}
	if (eoi)
		pic_clear_isr(p, chip, BIT(pin));
	if (rotate)
		s->priority_add = (pin + 1) & 7;
}

static void pic_ocw3(struct kvm_pic_state *s, u8 val)
{
	if (val & 0x04)
		s->poll = 1;
	if (val & 0x02)
		s->read_reg_select = val & 1;
	if (val & 0x40)
		s->special_mask = (val >> 5) & 1;
}

static void pic_write_data(struct kvm_pic_state *s, u8 val)
{
	switch (s->init_state) {
	case PIC_READY:
		s->imr = val;
		break;
	case PIC_WANTS_ICW2:
		s->irq_base = val & 0xf8;
		s->init_state = PIC_WANTS_ICW3;
		break;
	case PIC_WANTS_ICW3:
		/* The wiring of the two chips is fixed in a PC. */
		s->init_state = s->init4 ? PIC_WANTS_ICW4 : PIC_READY;
		break;
	case PIC_WANTS_ICW4:
		s->special_fully_nested_mode = (val >> 4) & 1;
		s->auto_eoi = (val >> 1) & 1;
		s->init_state = PIC_READY;
		break;
	}
}

/* A poll acts as an INTA: it moves the request into service and returns its pin. */
static u8 pic_poll(struct pic_pair *p, int chip)
{
	struct kvm_pic_state *s = &p->chip[chip];
	int pin = chip ? pic_chip_request(s, s->irr, false) : pic_master_request(p);

	s->poll = 0;
	if (pin < 0)
		return 0;
	pic_take(p, chip, pin);
	return 0x80 | pin;
}

/**
 * pic_has_port() - is this one of the pair's ports?
 * @port: the port
 *
 * Context: Any. Pure.
 * Return: true if it is.
 */
bool pic_has_port(u16 port)
{
	return port == 0x20 || port == 0x21 || port == 0xa0 || port == 0xa1 || port == 0x4d0 || port == 0x4d1;
}

/**
 * pic_read() - IN from one of the pair's ports
 * @p: the pair
 * @port: a port for which pic_has_port() is true
 *
 * Context: Any. Caller holds the lock that guards @p.
 * Return: the byte.
 */
u8 pic_read(struct pic_pair *p, u16 port)
{
	int chip = port >= 0x4d0 ? port & 1 : port >= 0xa0;
	struct kvm_pic_state *s = &p->chip[chip];

	if (port >= 0x4d0)
		return s->elcr;
	if (s->poll)
		return pic_poll(p, chip);
	if (port & 1)
		return s->imr;
	if (s->read_reg_select)
		return s->isr;
	return chip ? s->irr : pic_master_irr(p);
}

/**
 * pic_write() - OUT to one of the pair's ports
 * @p: the pair
 * @port: a port for which pic_has_port() is true
 * @val: the byte
 *
 * Context: Any. Caller holds the lock that guards @p.
 */
void pic_write(struct pic_pair *p, u16 port, u8 val)
{
	int chip = port >= 0x4d0 ? port & 1 : port >= 0xa0;
	struct kvm_pic_state *s = &p->chip[chip];

	if (port >= 0x4d0)
		s->elcr = val & s->elcr_mask;
	else if (port & 1)
		pic_write_data(s, val);
	else if (val & 0x10)
		pic_icw1(p, chip, val);
	else if (val & 0x08)
		pic_ocw3(s, val);
	else
		pic_ocw2(p, chip, val);
}

/**
 * pic_set_state() - restore one chip from user space
 * @p: the pair
 * @chip: 0 for the master, 1 for the slave
 * @state: untrusted; members that this code depends on are reduced to valid values, the rest is kept
 *
 * Context: Any. Caller holds the lock that guards @p.
 */
void pic_set_state(struct pic_pair *p, unsigned int chip, const struct kvm_pic_state *state)
{
	struct kvm_pic_state *s = &p->chip[chip];

	*s = *state;
	s->priority_add &= 7;
	s->init_state &= 3;
	s->poll = !!s->poll;
	s->read_reg_select = !!s->read_reg_select;
	s->special_mask = !!s->special_mask;
	s->auto_eoi = !!s->auto_eoi;
	s->init4 = !!s->init4;
	s->rotate_on_auto_eoi = !!s->rotate_on_auto_eoi;
	s->special_fully_nested_mode = !!s->special_fully_nested_mode;
}
