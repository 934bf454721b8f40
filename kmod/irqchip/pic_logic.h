/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's pair of 8259A interrupt controllers, without locks and without a machine around them. */
#ifndef DROSTE_PIC_LOGIC_H
#define DROSTE_PIC_LOGIC_H

#include <linux/types.h>
#include <linux/kvm.h>

#define PIC_PINS	16

/* Two controllers, the second behind input 2 of the first. */
struct pic_pair {
	struct kvm_pic_state chip[2];	/* master, slave; the layout user space saves */
	u8 sources[PIC_PINS];		/* who holds each line up: bits by enum irq_source */
	u16 acked;			/* pins whose in-service bit was cleared; the caller takes them */
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
