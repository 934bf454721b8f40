// SPDX-License-Identifier: GPL-2.0
/* Integer arithmetic with exact flags (SDM 1 3.4.3.1, and each instruction's "Flags Affected" in SDM 2). Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

static u64 msb(u32 bytes)
{
	return 1ULL << (8 * bytes - 1);
}

static bool parity_even(u64 val)
{
	val ^= val >> 4;
	/* Bit i of the constant is set when i has an even number of ones. */
	return (0x9669 >> (val & 15)) & 1;
}

static void set_flag(u64 *flags, u64 flag, bool on)
{
	*flags = on ? *flags | flag : *flags & ~flag;
}

static void set_szp(u64 *flags, u64 result, u32 bytes)
{
	set_flag(flags, FL_SF, result & msb(bytes));
	set_flag(flags, FL_ZF, !result);
	set_flag(flags, FL_PF, parity_even(result & 0xff));
}

static u64 add_carry(u64 a, u64 b, bool carry, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r = (a + b + carry) & mask;

	/* Carries out of each bit, from operands and sum. */
	u64 carries = (a & b) | ((a | b) & ~r);

	set_flag(flags, FL_CF, carries & msb(bytes));
	set_flag(flags, FL_AF, carries & 8);
	set_flag(flags, FL_OF, (a ^ r) & (b ^ r) & msb(bytes));
	set_szp(flags, r, bytes);
	return r;
}

static u64 sub_borrow(u64 a, u64 b, bool borrow, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r = (a - b - borrow) & mask;
	u64 borrows = (~a & b) | ((~a | b) & r);

	set_flag(flags, FL_CF, borrows & msb(bytes));
	set_flag(flags, FL_AF, borrows & 8);
	set_flag(flags, FL_OF, (a ^ b) & (a ^ r) & msb(bytes));
	set_szp(flags, r, bytes);
	return r;
}

static u64 logic(u64 r, u32 bytes, u64 *flags)
{
	/* AF is undefined; processors clear it. */
	*flags &= ~(FL_CF | FL_OF | FL_AF);
	set_szp(flags, r, bytes);
	return r;
}

u64 alu_binary(u8 op, u64 a, u64 b, u32 bytes, u64 *flags)
{
	switch (op) {
	case OP_ADD:
		return add_carry(a, b, false, bytes, flags);
	case OP_ADC:
		return add_carry(a, b, *flags & FL_CF, bytes, flags);
	case OP_SBB:
		return sub_borrow(a, b, *flags & FL_CF, bytes, flags);
	case OP_SUB:
	case OP_CMP:
		return sub_borrow(a, b, false, bytes, flags);
	case OP_OR:
		return logic(a | b, bytes, flags);
	case OP_XOR:
		return logic(a ^ b, bytes, flags);
	default:	/* OP_AND, OP_TEST */
		return logic(a & b, bytes, flags);
	}
}

u64 alu_unary(u8 op, u64 a, u32 bytes, u64 *flags)
{
	u64 carry = *flags & FL_CF, r;

	switch (op) {
	case OP_NOT:
		return ~a & emul_size_mask(bytes);
	case OP_NEG:
		return sub_borrow(0, a, false, bytes, flags);
	case OP_INC:
		r = add_carry(a, 1, false, bytes, flags);
		break;
	default:	/* OP_DEC */
		r = sub_borrow(a, 1, false, bytes, flags);
		break;
	}
	/* INC and DEC leave CF alone. */
	*flags = (*flags & ~FL_CF) | carry;
	return r;
}

static u64 rotate(u8 op, u64 a, u32 count, u32 bytes, u64 *flags)
{
	u32 bits = 8 * bytes;
	u64 mask = emul_size_mask(bytes), r = a;
	u32 n = count & (bits - 1);

	if (op == OP_ROL) {
		if (n)
			r = ((a << n) | (a >> (bits - n))) & mask;
		set_flag(flags, FL_CF, r & 1);
		set_flag(flags, FL_OF, !!(r & msb(bytes)) != (r & 1));
	} else {
		if (n)
			r = ((a >> n) | (a << (bits - n))) & mask;
		set_flag(flags, FL_CF, r & msb(bytes));
		set_flag(flags, FL_OF, (r ^ (r << 1)) & msb(bytes));
	}
	return r;
}

/* Through the carry flag: a rotation of one bit more. One bit at a time; at most 63 steps. */
static u64 rotate_carry(u8 op, u64 a, u32 count, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes);
	bool carry = *flags & FL_CF, out;

	count %= 8 * bytes + 1;
	if (!count)
		return a;
	while (count--) {
		if (op == OP_RCL) {
			out = a & msb(bytes);
			a = ((a << 1) | carry) & mask;
		} else {
			out = a & 1;
			a = (a >> 1) | (carry ? msb(bytes) : 0);
		}
		carry = out;
	}
	set_flag(flags, FL_CF, carry);
	if (op == OP_RCL)
		set_flag(flags, FL_OF, !!(a & msb(bytes)) != carry);
	else
		set_flag(flags, FL_OF, (a ^ (a << 1)) & msb(bytes));
	return a;
}

u64 alu_shift(u8 op, u64 a, u32 count, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r;
	u32 bits = 8 * bytes;
	s64 val;

	/* The count is masked to 5 bits, 6 for 64-bit operands; 0 changes no flag (SDM 2B, SAL/SAR/SHL/SHR). */
	count &= bytes == 8 ? 63 : 31;
	if (!count)
		return a;
	switch (op) {
	case OP_ROL:
	case OP_ROR:
		return rotate(op, a, count, bytes, flags);
	case OP_RCL:
	case OP_RCR:
		return rotate_carry(op, a, count, bytes, flags);
	case OP_SHR:
		set_flag(flags, FL_CF, (a >> (count - 1)) & 1);
		set_flag(flags, FL_OF, a & msb(bytes));
		r = a >> count;
		break;
	case OP_SAR:
		val = (s64)(a << (64 - bits)) >> (64 - bits);
		set_flag(flags, FL_CF, (val >> (count - 1)) & 1);
		set_flag(flags, FL_OF, false);
		r = (val >> count) & mask;
		break;
	default:	/* OP_SHL, OP_SAL */
		r = (a << count) & mask;
		set_flag(flags, FL_CF, count <= bits && ((a >> (bits - count)) & 1));
		set_flag(flags, FL_OF, !!(r & msb(bytes)) != !!(*flags & FL_CF));
		break;
	}
	*flags &= ~FL_AF;
	set_szp(flags, r, bytes);
	return r;
}

/* SHLD and SHRD: @b's bits come in. For 16-bit operands a count above 16 is undefined; here @a follows @b then. */
u64 alu_shift_double(bool left, u64 a, u64 b, u32 count, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r, wide;
	u32 bits = 8 * bytes;

	count &= bytes == 8 ? 63 : 31;
	if (!count)
		return a;
	if (bytes == 2) {
		/* a:b:a (left) or a:b:a from the other end, 48 bits, of which the 16 that move into place are taken. */
		wide = a << 32 | b << 16 | a;
		r = (left ? wide >> (32 - count) : wide >> count) & mask;
		set_flag(flags, FL_CF, left ? wide >> (48 - count) & 1 : wide >> (count - 1) & 1);
	} else if (left) {
		r = ((a << count) | (b >> (bits - count))) & mask;
		set_flag(flags, FL_CF, (a >> (bits - count)) & 1);
	} else {
		r = ((a >> count) | (b << (bits - count))) & mask;
		set_flag(flags, FL_CF, (a >> (count - 1)) & 1);
	}
	*flags &= ~FL_AF;
	set_flag(flags, FL_OF, (a ^ r) & msb(bytes));
	set_szp(flags, r, bytes);
	return r;
}

static s64 sign_extend(u64 val, u32 bytes)
{
	u32 shift = 64 - 8 * bytes;

	return (s64)(val << shift) >> shift;
}

/* CF and OF say whether the upper half is significant; SF, ZF, AF and PF are undefined and stay. */
void alu_mul(bool is_signed, u64 a, u64 b, u32 bytes, u64 *lo, u64 *hi, u64 *flags)
{
	unsigned __int128 wide;
	u64 mask = emul_size_mask(bytes);
	u32 bits = 8 * bytes;
	bool big;

	if (is_signed) {
		wide = (__int128)sign_extend(a, bytes) * sign_extend(b, bytes);
		big = (__int128)wide != sign_extend(wide & mask, bytes);
	} else {
		wide = (unsigned __int128)a * b;
		big = wide >> bits;
	}
	*lo = wide & mask;
	*hi = (u64)(wide >> bits) & mask;
	set_flag(flags, FL_CF | FL_OF, big);
}

/* hi:lo by d, 64 bits each; the quotient is known to fit. */
static u64 div_wide(u64 lo, u64 hi, u64 d, u64 *rem)
{
	asm("divq %4" : "=a"(lo), "=d"(*rem) : "0"(lo), "1"(hi), "r"(d) : "cc");
	return lo;
}

bool alu_div(bool is_signed, u64 lo, u64 hi, u64 d, u32 bytes, u64 *quot, u64 *rem)
{
	u64 mask = emul_size_mask(bytes), q, r, limit;
	unsigned __int128 n = ((unsigned __int128)hi << (8 * bytes)) | lo;
	bool neg_n = false, neg_d = false;

	if (is_signed) {
		neg_n = hi & msb(bytes);
		neg_d = d & msb(bytes);
		if (neg_n) {
			n = -n;
			if (bytes < 8)
				n &= ((unsigned __int128)1 << (16 * bytes)) - 1;
		}
		if (neg_d)
			d = -d & mask;
	}
	if (!d || (u64)(n >> 64) >= d)
		return false;
	q = div_wide((u64)n, (u64)(n >> 64), d, &r);
	limit = mask;
	if (is_signed)
		limit = neg_n != neg_d ? msb(bytes) : msb(bytes) - 1;
	if (q > limit)
		return false;
	*quot = (neg_n != neg_d ? -q : q) & mask;
	*rem = (neg_n ? -r : r) & mask;
	return true;
}

bool alu_condition(u8 cc, u64 flags)
{
	bool cf = flags & FL_CF, zf = flags & FL_ZF, less = !!(flags & FL_SF) != !!(flags & FL_OF), yes;

	switch ((cc >> 1) & 7) {
	case 0:
		yes = flags & FL_OF;
		break;
	case 1:
		yes = cf;
		break;
	case 2:
		yes = zf;
		break;
	case 3:
		yes = cf || zf;
		break;
	case 4:
		yes = flags & FL_SF;
		break;
	case 5:
		yes = flags & FL_PF;
		break;
	case 6:
		yes = less;
		break;
	default:
		yes = less || zf;
		break;
	}
	return yes != (cc & 1);
}
