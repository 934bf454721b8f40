/* SPDX-License-Identifier: GPL-2.0 */
/* What decides who gets an exit from L2: number, name, and in words. */
#ifndef DROSTE_ROUTE_WHY_H
#define DROSTE_ROUTE_WHY_H

/*
 * W is applied to each row, LAST to the last one. The words fit both answers: "to L1" if what they name is set, holds or
 * differs, "to L0" if not. Tracepoints show the numbers, so new rows come last. The numbers are literal, because the print
 * format of a tracepoint cannot show an enum's constants.
 */
#define ROUTE_WHYS(W, LAST) \
	W(0, ALWAYS, "always") \
	W(1, NO_ROW, "a reason that Droste does not know") \
	W(2, PROC_CONTROL, "L1's primary processor-based control") \
	W(3, PROC2_CONTROL, "L1's secondary processor-based control") \
	W(4, HOST_EVENT, "NMIs and machine checks are the host's") \
	W(5, L0_EXCEPTION, "a debugger, or the host's split-lock detection, takes the exception") \
	W(6, EXCEPTION_BITMAP, "L1's exception bitmap") \
	W(7, PF_MISMATCH, "L1's exception bitmap, reversed: the error code does not fit mask and match") \
	W(8, CR0_MASK, "the value differs from the read shadow in a bit of L1's CR0 mask") \
	W(9, CR4_MASK, "the value differs from the read shadow in a bit of L1's CR4 mask") \
	W(10, CR3_TARGET, "the value is none of L1's CR3-target values") \
	W(11, CR_CONTROL, "L1's control for CR3 or CR8") \
	W(12, CLTS, "TS is in L1's CR0 mask and read shadow") \
	W(13, LMSW, "LMSW changes a bit of L1's CR0 mask") \
	W(14, IO_BITMAP, "the bit in L1's I/O bitmap") \
	W(15, IO_CONTROL, "L1's control \"unconditional I/O exiting\"") \
	W(16, MSR_BITMAP, "the bit in L1's MSR bitmap") \
	W(17, MSR_NO_BITMAP, "L1 uses no MSR bitmap") \
	W(18, VMCS_BITMAP, "the bit in L1's VMREAD or VMWRITE bitmap") \
	W(19, VMCS_NO_SHADOW, "L1 gave L2 no shadow VMCS") \
	W(20, MTF_INJECTED, "L1 injected a pending MTF exit") \
	W(21, PAUSE_LOOP, "L1's control \"PAUSE-loop exiting\"") \
	W(22, XSS_BITMAP, "L1's XSS-exiting bitmap") \
	W(23, UMIP, "CR4.UMIP of L2, which L0 emulates") \
	W(24, TWO_CONTROLS, "two controls of L1") \
	W(25, PLE_WINDOW, "the PAUSE loop has lasted as long as L1's window") \
	W(26, PLE_NOBODY, "L0 has let no other vCPU of L1 run instead") \
	LAST(27, DELEGATED, "L1 has delegated the hypercall with a list of operations")

#define ROUTE_WHY_ENUM(nr, name, words) WHY_##name = (nr),
enum route_why {
	ROUTE_WHYS(ROUTE_WHY_ENUM, ROUTE_WHY_ENUM)
	NR_ROUTE_WHY
};

#endif
