/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's pair of 8259A interrupt controllers; pure, the caller does the locking. */
#ifndef DROSTE_PIC_LOGIC_H
#define DROSTE_PIC_LOGIC_H

#include <linux/types.h>
#include <linux/kvm.h>

#define PIC_PINS	16

/* Two controllers, the second one cascaded on input 2 of the first. */
struct pic_pair {
	struct kvm_pic_state chip[2];	/* master, slave; in the layout of KVM_GET_IRQCHIP */
	u8 sources[PIC_PINS];		/* sources that assert each line: bits of enum irq_source */
	u16 acked;			/* pins whose in-service bit was cleared; read and reset by the caller */
};

/* The byte that a chip expects next after ICW1; values of kvm_pic_state.init_state. */
enum { PIC_READY, PIC_WANTS_ICW2, PIC_WANTS_ICW3, PIC_WANTS_ICW4 };

void pic_init(struct pic_pair *p);
int pic_set_line(struct pic_pair *p, unsigned int pin, unsigned int source, bool level);
int pic_pending(const struct pic_pair *p);
int pic_inta(struct pic_pair *p);
bool pic_has_port(u16 port);
u8 pic_read(struct pic_pair *p, u16 port);
void pic_write(struct pic_pair *p, u16 port, u8 val);
void pic_set_state(struct pic_pair *p, unsigned int chip, const struct kvm_pic_state *state);

/**
 * pic_write_mask() - OUT to a port below 0x100, if it sets the mask
 * @p: the pair
 * @port: a port for which pic_has_port() is true
 * @val: the byte
 *
 * Context: Any. Caller holds the lock that guards @p.
 * Return: false if it does something else, for which pic_write() is; nothing is done then.
 */
static inline bool pic_write_mask(struct pic_pair *p, u16 port, u8 val)
{
	struct kvm_pic_state *s = &p->chip[port >> 7 & 1];

	if (!(port & 1) || s->init_state != PIC_READY)
		return false;
	s->imr = val;
	return true;
}

#endif
