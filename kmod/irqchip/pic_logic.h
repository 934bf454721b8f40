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

void pic_init(struct pic_pair *p);
int pic_set_line(struct pic_pair *p, unsigned int pin, unsigned int source, bool level);
int pic_pending(const struct pic_pair *p);
int pic_inta(struct pic_pair *p);
bool pic_has_port(u16 port);
u8 pic_read(struct pic_pair *p, u16 port);
void pic_write(struct pic_pair *p, u16 port, u8 val);
void pic_set_state(struct pic_pair *p, unsigned int chip, const struct kvm_pic_state *state);

#endif
