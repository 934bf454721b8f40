/* SPDX-License-Identifier: GPL-2.0 */
/* Encodings of VMCS fields that <asm/vmx.h> of the oldest supported kernel does not define. SDM 3D appendix B. */
#ifndef DROSTE_VMX_FIELDS_H
#define DROSTE_VMX_FIELDS_H

#include <asm/vmx.h>

#define EPTP_INDEX		0x0004
#define EXECUTIVE_VMCS_POINTER	0x200c
#define VE_INFO_ADDRESS		0x202a
#define GUEST_SMBASE		0x4828
#define IO_RCX			0x6402
#define IO_RSI			0x6404
#define IO_RDI			0x6406
#define IO_RIP			0x6408

/* Parts of an encoding (SDM 3C table 25-21). */
#define VMCS_ENC_HIGH		BIT(0)		/* the upper half of a 64-bit field */
#define VMCS_ENC_INDEX(enc)	(((enc) >> 1) & 0x1ff)
#define VMCS_ENC_TYPE(enc)	(((enc) >> 10) & 3)
#define VMCS_ENC_WIDTH(enc)	(((enc) >> 13) & 3)
#define VMCS_ENC_RESERVED	(~0x6fffULL)	/* bit 12 and bits 63:15 are reserved */

#endif
