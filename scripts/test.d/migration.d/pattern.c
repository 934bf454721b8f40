// SPDX-License-Identifier: GPL-2.0
/*
 * A guest whose memory says which barrier it is of. Two processors write a number into all pages, each into its own, and a
 * hash of number and page; then the first one prints the number and executes WBINVD, and the next number follows.
 *
 * Each number begins with a look at the pages of the one before. When the guest finds that it has moved, it says so, goes on
 * for some numbers more, and ends by the debug-exit port: 0 if all pages were right at all times. With "l2" in its command
 * line the first processor does all that as an L2. "moves=N" has it ask to be moved at number N.
 */
#include <stdbool.h>
#include <stdint.h>

#define AP_START	0x8000ul
#define PAGES		24u			/* even ones are the first processor's */
#define PAGE_AT(i)	((volatile uint64_t *)(0x180000ul + (i) * 0x2000ul))	/* a page is left out behind each */
#define AFTER		3u			/* numbers that follow after a move */
#define APIC		((volatile uint32_t *)0xfee00000ul)
#define APIC_ICR_LOW	(0x300 / 4)
#define APIC_ICR_HIGH	(0x310 / 4)
#define ICR_INIT	0x4500u
#define ICR_SIPI	0x4600u

#define PORT_EXIT	0xf4
#define PORT_MOVE	0xf8
#define PORT_COM1	0x3f8

extern uint8_t ap_code[], ap_code_end[], stack2_end[];
void main(const uint8_t *zero_page);
void other_main(void);
void run_l2(void (*fn)(void));
void unexpected_exit(void);
void *memcpy(void *to, const void *from, unsigned long n);

static volatile uint64_t number, other_number;	/* of each processor: its pages have this number */
static uint32_t moves_at;

static void outb(uint16_t port, uint8_t val)
{
	asm volatile("outb %0, %1" : : "a" (val), "Nd" (port));
}

static void outl(uint16_t port, uint32_t val)
{
	asm volatile("outl %0, %1" : : "a" (val), "Nd" (port));
}

static uint32_t inl(uint16_t port)
{
	uint32_t val;

	asm volatile("inl %1, %0" : "=a" (val) : "Nd" (port));
	return val;
}

void *memcpy(void *to, const void *from, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
	return to;
}

static void print(const char *text)
{
	for (; *text; text++)
		outb(PORT_COM1, *text);
}

static void print_number(const char *before, uint64_t n)
{
	char digits[24], *p = digits + sizeof(digits) - 1;

	*p = 0;
	do {
		*--p = '0' + n % 10;
		n /= 10;
	} while (n);
	print(before);
	print(p);
	print("\n");
}

static void end(uint32_t status)
{
	for (;;)
		outl(PORT_EXIT, status);
}

/* --- the pattern --- */

static uint64_t hash(uint64_t n, uint64_t page, uint64_t word)
{
	uint64_t h = (n << 20 ^ page << 10 ^ word) * 0x9e3779b97f4a7c15ul;

	return h ^ h >> 29;
}

static void write_pages(uint32_t first, uint64_t n)
{
	for (uint32_t page = first; page < PAGES; page += 2) {
		PAGE_AT(page)[0] = n;
		for (uint32_t word = 1; word < 512; word += 73)
			PAGE_AT(page)[word] = hash(n, page, word);
	}
}

static void check_pages(uint64_t n)
{
	bool good = true;

	for (uint32_t page = 0; page < PAGES; page++) {
		good &= PAGE_AT(page)[0] == n;
		for (uint32_t word = 1; word < 512; word += 73)
			good &= PAGE_AT(page)[word] == hash(n, page, word);
		if (!good) {
			print_number("bad page ", page);
			print_number("of number ", PAGE_AT(page)[0]);
			end(1);
		}
	}
}

void other_main(void)
{
	for (uint64_t n = 1;; n++) {
		while (number < n)
			asm volatile("pause");
		write_pages(1, n);
		other_number = n;
	}
}

/* The first processor. */
static void pattern(void)
{
	uint64_t left = UINT64_MAX;

	for (uint64_t n = 1; left; n++, left--) {
		number = n;
		write_pages(0, n);
		while (other_number < n)
			asm volatile("pause");
		check_pages(n);
		print_number("number ", n);
		if (n == moves_at)
			outl(PORT_MOVE, 1);
		asm volatile("wbinvd" : : : "memory");
		check_pages(n);
		if (left > AFTER && inl(PORT_MOVE)) {
			print_number("moved at ", n);
			left = AFTER;
		}
	}
	end(0);
}

/* --- the start --- */

/* The number behind a word of the command line; 1 for a word without one, 0 if there is no such word. */
static uint32_t word(const char *line, const char *name)
{
	for (; *line; line++) {
		const char *l = line, *w = name;
		uint32_t n = 0;

		while (*w && *l == *w)
			l++, w++;
		if (*w)
			continue;
		if (*l != '=')
			return 1;
		for (l++; *l >= '0' && *l <= '9'; l++)
			n = n * 10 + *l - '0';
		return n;
	}
	return 0;
}

void main(const uint8_t *zero_page)
{
	uint32_t line;

	memcpy(&line, zero_page + 0x228, sizeof(line));		/* cmd_line_ptr */
	moves_at = word((const char *)(uint64_t)line, "moves");
	memcpy((void *)AP_START, ap_code, ap_code_end - ap_code);
	APIC[APIC_ICR_HIGH] = 1u << 24;
	APIC[APIC_ICR_LOW] = ICR_INIT;
	APIC[APIC_ICR_LOW] = ICR_SIPI | AP_START >> 12;
	if (word((const char *)(uint64_t)line, "l2"))
		run_l2(pattern);
	else
		pattern();
}

void unexpected_exit(void)
{
	print("L1 has an exit\n");
	end(2);
}
