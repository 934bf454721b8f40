// SPDX-License-Identifier: GPL-2.0
/* Integer arithmetic with exact flags (SDM 1 3.4.3.1, and "Flags Affected" of each instruction in SDM 2). Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

static u64 alu_msb(u32 bytes)
{
	return 1ULL << (8 * bytes - 1);
}

static bool alu_parity_even(u64 val)
{
	val ^= val >> 4;
	/* Bit i of the constant is set if i has an even number of ones. */
	return (0x9669 >> (val & 15)) & 1;
}

static void alu_set_flag(u64 *flags, u64 flag, bool on)
{
	*flags = on ? *flags | flag : *flags & ~flag;
}

static void alu_set_szp(u64 *flags, u64 result, u32 bytes)
{
	alu_set_flag(flags, FL_SF, result & alu_msb(bytes));
	alu_set_flag(flags, FL_ZF, !result);
	alu_set_flag(flags, FL_PF, alu_parity_even(result & 0xff));
}

static u64 alu_add(u64 a, u64 b, bool carry, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r = (a + b + carry) & mask;

	/* The carry out of each bit, from operands and sum. */
	u64 carries = (a & b) | ((a | b) & ~r);

	alu_set_flag(flags, FL_CF, carries & alu_msb(bytes));
	alu_set_flag(flags, FL_AF, carries & 8);
	alu_set_flag(flags, FL_OF, (a ^ r) & (b ^ r) & alu_msb(bytes));
	alu_set_szp(flags, r, bytes);
	return r;
}

static u64 alu_sub(u64 a, u64 b, bool borrow, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r = (a - b - borrow) & mask;
	u64 borrows = (~a & b) | ((~a | b) & r);

	alu_set_flag(flags, FL_CF, borrows & alu_msb(bytes));
	alu_set_flag(flags, FL_AF, borrows & 8);
	alu_set_flag(flags, FL_OF, (a ^ b) & (a ^ r) & alu_msb(bytes));
	alu_set_szp(flags, r, bytes);
	return r;
}

static u64 alu_logic(u64 r, u32 bytes, u64 *flags)
{
	/* AF is undefined in the manual; processors clear it. */
	*flags &= ~(FL_CF | FL_OF | FL_AF);
	alu_set_szp(flags, r, bytes);
	return r;
}

/**
 * alu_binary() - compute a binary operation
 * @op: OP_ADD to OP_CMP, or OP_TEST
 * @a: first operand, zero-extended
 * @b: second operand, zero-extended
 * @bytes: operand size
 * @flags: RFLAGS, updated
 *
 * Context: Any. Pure.
 * Return: the result, zero-extended.
 */
u64 alu_binary(u8 op, u64 a, u64 b, u32 bytes, u64 *flags)
{
	switch (op) {
	case OP_ADD:
		return alu_add(a, b, false, bytes, flags);
	case OP_ADC:
		return alu_add(a, b, *flags & FL_CF, bytes, flags);
	case OP_SBB:
		return alu_sub(a, b, *flags & FL_CF, bytes, flags);
	case OP_SUB:
	case OP_CMP:
		return alu_sub(a, b, false, bytes, flags);
	case OP_OR:
		return alu_logic(a | b, bytes, flags);
	case OP_XOR:
		return alu_logic(a ^ b, bytes, flags);
	default:	/* OP_AND, OP_TEST */
		return alu_logic(a & b, bytes, flags);
	}
}

/**
 * alu_unary() - compute a unary operation
 * @op: OP_NOT, OP_NEG, OP_INC or OP_DEC
 * @a: the operand, zero-extended
 * @bytes: operand size
 * @flags: RFLAGS, updated
 *
 * Context: Any. Pure.
 * Return: the result, zero-extended.
 */
u64 alu_unary(u8 op, u64 a, u32 bytes, u64 *flags)
{
	u64 carry = *flags & FL_CF, r;

	switch (op) {
	case OP_NOT:
		return ~a & emul_size_mask(bytes);
	case OP_NEG:
		return alu_sub(0, a, false, bytes, flags);
	case OP_INC:
		r = alu_add(a, 1, false, bytes, flags);
		break;
	default:	/* OP_DEC */
		r = alu_sub(a, 1, false, bytes, flags);
		break;
	}
	/* INC and DEC do not change CF. */
	*flags = (*flags & ~FL_CF) | carry;
	return r;
}

static u64 alu_rotate(u8 op, u64 a, u32 count, u32 bytes, u64 *flags)
{
	u32 bits = 8 * bytes;
	u64 mask = emul_size_mask(bytes), r = a;
	u32 n = count & (bits - 1);

	if (op == OP_ROL) {
		if (n)
			r = ((a << n) | (a >> (bits - n))) & mask;
		alu_set_flag(flags, FL_CF, r & 1);
		alu_set_flag(flags, FL_OF, !!(r & alu_msb(bytes)) != (r & 1));
	} else {
		if (n)
			r = ((a >> n) | (a << (bits - n))) & mask;
		alu_set_flag(flags, FL_CF, r & alu_msb(bytes));
		alu_set_flag(flags, FL_OF, (r ^ (r << 1)) & alu_msb(bytes));
	}
	return r;
}

/* Rotate through the carry flag: the operand and CF rotate as one. One bit at a time, at most 63 steps. */
static u64 alu_rotate_carry(u8 op, u64 a, u32 count, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes);
	bool carry = *flags & FL_CF, out;

	count %= 8 * bytes + 1;
	if (!count)
		return a;
	while (count--) {
		if (op == OP_RCL) {
			out = a & alu_msb(bytes);
			a = ((a << 1) | carry) & mask;
		} else {
			out = a & 1;
			a = (a >> 1) | (carry ? alu_msb(bytes) : 0);
		}
		carry = out;
	}
	alu_set_flag(flags, FL_CF, carry);
	if (op == OP_RCL)
		alu_set_flag(flags, FL_OF, !!(a & alu_msb(bytes)) != carry);
	else
		alu_set_flag(flags, FL_OF, (a ^ (a << 1)) & alu_msb(bytes));
	return a;
}

/**
 * alu_shift() - compute a shift or rotation
 * @op: OP_ROL to OP_SAR
 * @a: the operand, zero-extended
 * @count: the count, not masked yet
 * @bytes: operand size
 * @flags: RFLAGS, updated
 *
 * Context: Any. Pure.
 * Return: the result, zero-extended.
 */
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
		return alu_rotate(op, a, count, bytes, flags);
	case OP_RCL:
	case OP_RCR:
		return alu_rotate_carry(op, a, count, bytes, flags);
	case OP_SHR:
		alu_set_flag(flags, FL_CF, (a >> (count - 1)) & 1);
		alu_set_flag(flags, FL_OF, a & alu_msb(bytes));
		r = a >> count;
		break;
	case OP_SAR:
		val = emul_sign_extend(a, bits);
		alu_set_flag(flags, FL_CF, (val >> (count - 1)) & 1);
		alu_set_flag(flags, FL_OF, false);
		r = (val >> count) & mask;
		break;
	default:	/* OP_SHL, OP_SAL */
		r = (a << count) & mask;
		alu_set_flag(flags, FL_CF, count <= bits && ((a >> (bits - count)) & 1));
		alu_set_flag(flags, FL_OF, !!(r & alu_msb(bytes)) != !!(*flags & FL_CF));
		break;
	}
	*flags &= ~FL_AF;
	alu_set_szp(flags, r, bytes);
	return r;
}

/**
 * alu_shift_double() - compute SHLD or SHRD
 * @left: SHLD
 * @a: the destination, zero-extended
 * @b: the operand whose bits are shifted in, zero-extended
 * @count: the count, not masked yet
 * @bytes: operand size
 * @flags: RFLAGS, updated
 *
 * For 16-bit operands the result of a count above 16 is undefined. Here @a
 * follows @b in that case.
 *
 * Context: Any. Pure.
 * Return: the result, zero-extended.
 */
u64 alu_shift_double(bool left, u64 a, u64 b, u32 count, u32 bytes, u64 *flags)
{
	u64 mask = emul_size_mask(bytes), r, wide;
	u32 bits = 8 * bytes;

	count &= bytes == 8 ? 63 : 31;
	if (!count)
		return a;
	if (bytes == 2) {
		/* The result is 16 bits of the 48 bits a:b:a, which are read from the top or from the bottom. */
		wide = a << 32 | b << 16 | a;
		r = (left ? wide >> (32 - count) : wide >> count) & mask;
		alu_set_flag(flags, FL_CF, left ? wide >> (48 - count) & 1 : wide >> (count - 1) & 1);
	} else if (left) {
		r = ((a << count) | (b >> (bits - count))) & mask;
		alu_set_flag(flags, FL_CF, (a >> (bits - count)) & 1);
	} else {
		r = ((a >> count) | (b << (bits - count))) & mask;
		alu_set_flag(flags, FL_CF, (a >> (count - 1)) & 1);
	}
	*flags &= ~FL_AF;
	alu_set_flag(flags, FL_OF, (a ^ r) & alu_msb(bytes));
	alu_set_szp(flags, r, bytes);
	return r;
}

/**
 * alu_mul() - multiply
 * @is_signed: IMUL rather than MUL
 * @a: first factor, zero-extended
 * @b: second factor, zero-extended
 * @bytes: operand size
 * @lo: set to the lower half of the product
 * @hi: set to the upper half
 * @flags: RFLAGS, updated
 *
 * CF and OF tell whether the upper half is significant. SF, ZF, AF and PF are
 * undefined and not changed.
 *
 * Context: Any. Pure.
 */
void alu_mul(bool is_signed, u64 a, u64 b, u32 bytes, u64 *lo, u64 *hi, u64 *flags)
{
	unsigned __int128 wide;
	u64 mask = emul_size_mask(bytes);
	u32 bits = 8 * bytes;
	bool big;

	if (is_signed) {
		wide = (__int128)emul_sign_extend(a, bits) * emul_sign_extend(b, bits);
		big = (__int128)wide != emul_sign_extend(wide & mask, bits);
	} else {
		wide = (unsigned __int128)a * b;
		big = wide >> bits;
	}
	*lo = wide & mask;
	*hi = (u64)(wide >> bits) & mask;
	alu_set_flag(flags, FL_CF | FL_OF, big);
}

/* Divide hi:lo by d, 64 bits each. The quotient is known to fit. */
static u64 alu_div_wide(u64 lo, u64 hi, u64 d, u64 *rem)
{
	asm("divq %4" : "=a"(lo), "=d"(*rem) : "0"(lo), "1"(hi), "r"(d) : "cc");
	return lo;
}

/**
 * alu_div() - divide
 * @is_signed: IDIV rather than DIV
 * @lo: lower half of the dividend
 * @hi: upper half of the dividend
 * @d: the divisor
 * @bytes: operand size
 * @quot: set to the quotient
 * @rem: set to the remainder
 *
 * Context: Any. Pure.
 * Return: false for #DE.
 */
bool alu_div(bool is_signed, u64 lo, u64 hi, u64 d, u32 bytes, u64 *quot, u64 *rem)
{
	u64 mask = emul_size_mask(bytes), q, r, limit;
	unsigned __int128 n = ((unsigned __int128)hi << (8 * bytes)) | lo;
	bool neg_n = false, neg_d = false;

	if (is_signed) {
		neg_n = hi & alu_msb(bytes);
		neg_d = d & alu_msb(bytes);
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
	q = alu_div_wide((u64)n, (u64)(n >> 64), d, &r);
	limit = mask;
	if (is_signed)
		limit = neg_n != neg_d ? alu_msb(bytes) : alu_msb(bytes) - 1;
	if (q > limit)
		return false;
	*quot = (neg_n != neg_d ? -q : q) & mask;
	*rem = (neg_n ? -r : r) & mask;
	return true;
}

/**
 * alu_condition() - evaluate a condition code (SDM 1 appendix B)
 * @cc: opcode of Jcc, SETcc or CMOVcc; only the low four bits are used
 * @flags: RFLAGS
 *
 * Context: Any. Pure.
 * Return: true if the condition holds.
 */
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
