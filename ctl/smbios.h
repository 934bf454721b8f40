/* SPDX-License-Identifier: GPL-2.0 */
/* The tables of SMBIOS, which name the machine and its maker to the guest. */
#ifndef DROSTECTL_SMBIOS_H
#define DROSTECTL_SMBIOS_H

#include "mem.h"
#include "profile.h"

/**
 * smbios_build() - write entry point and structures into guest memory
 * @mem: guest memory
 * @p: the profile whose structures they are
 *
 * Return: 0, or -1 after an error message.
 */
int smbios_build(struct guest_mem *mem, const struct profile *p);

#endif
