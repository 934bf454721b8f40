// SPDX-License-Identifier: GPL-2.0
/* The hypercall with a list of operations: a vCPU's CPUID that offers it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "multicall.h"
#include "vm.h"

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, u32 fn)
{
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn)
			return &c->entries[i];
	ksft_skip("the device's CPUID has no leaf %#x", fn);
}

void multicall_offer(struct vcpu *vcpu, enum multicall_offer offer)
{
	struct kvm_cpuid2 *c = supported_cpuid(vcpu->vm->dev);
	struct kvm_cpuid_entry2 *e = leaf(c, 0x40000000), *own = leaf(c, 0x40000002);

	leaf(c, 1)->ebx = (leaf(c, 1)->ebx & 0x00ffffff) | vcpu->id << 24;
	switch (offer) {
	case OFFER_HIDDEN:
		own->eax = 0;
		break;
	case OFFER_BEHIND_KVM:
		c->entries[c->nent] = *e;
		c->entries[c->nent].function = 0x40000100;
		c->entries[c->nent++].eax = 0x40000102;
		own->function = 0x40000102;
		/* fallthrough */
	case OFFER_KVM_ALONE:
		memcpy(&e->ebx, "KVMKVMKVM\0\0\0", 12);
		e->eax = 0x40000001;
		break;
	case OFFER_PLAIN:
		break;
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	free(c);
}
