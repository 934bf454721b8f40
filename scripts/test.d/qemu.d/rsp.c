// SPDX-License-Identifier: GPL-2.0
/*
 * A small client of GDB's remote serial protocol: breaks into pc.c's guest in QEMU by hardware and by software
 * breakpoints, by a watchpoint and by single steps, and looks at where it stopped. Prints one line a check.
 * Usage: rsp PORT MAIN SAY WATCHED: QEMU's TCP port; addresses of main(), of say(), of a word that another processor
 * writes.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd;
static char reply[8192], stopped[256];	/* the last reply, and the last that told of a stop */
static int bad;

static void check(int good, const char *what)
{
	printf("rsp: %s: %s\n", good ? "good" : "BAD", what);
	if (!good) {
		printf("rsp: last reply: %.200s, stopped by %s\n", reply, stopped);
		bad = 1;
	}
}

static int byte(void)
{
	unsigned char c;

	if (read(fd, &c, 1) != 1) {
		printf("rsp: BAD: the connection ended\n");
		exit(1);
	}
	return c;
}

/* The next packet into reply; acknowledged. */
static void receive(void)
{
	unsigned int n = 0;
	int c;

	while (byte() != '$')
		;
	while ((c = byte()) != '#')
		if (n < sizeof(reply) - 1)
			reply[n++] = c;
	reply[n] = 0;
	byte();
	byte();
	if (write(fd, "+", 1) != 1)
		exit(1);
}

static void ask(const char *packet)
{
	unsigned char sum = 0;
	char frame[300];
	int n;

	for (n = 0; packet[n]; n++)
		sum += packet[n];
	n = snprintf(frame, sizeof(frame), "$%s#%02x", packet, sum);
	if (write(fd, frame, n) != n)
		exit(1);
	receive();
}

/* A register of the stopped processor: QEMU's order is RAX, RBX, ... RIP, each 8 bytes, the lowest first. */
static uint64_t reg(int number)
{
	uint64_t val = 0;
	char digits[3] = "";
	int i;

	ask("g");
	if (strlen(reply) < 17 * 16)
		return ~0ul;
	for (i = 7; i >= 0; i--) {
		memcpy(digits, reply + number * 16 + 2 * i, 2);
		val = val << 8 | strtoul(digits, NULL, 16);
	}
	return val;
}

#define RIP 16

/* Z and z packets: 0 software, 1 hardware, 2 written. */
static void point(char insert, int type, uint64_t address, int length)
{
	char packet[64];

	snprintf(packet, sizeof(packet), "%c%d,%lx,%x", insert, type, address, length);
	ask(packet);
	check(!strcmp(reply, "OK"), insert == 'Z' ? "a breakpoint is set" : "a breakpoint is removed");
}

static uint64_t resume(void)
{
	ask("c");
	snprintf(stopped, sizeof(stopped), "%.200s", reply);
	check(!strncmp(reply, "T05", 3), "the guest stops with SIGTRAP");
	return reg(RIP);
}

/* Past a software breakpoint, as debuggers do it: the instruction in its place, one step, the breakpoint again. */
static void pass(uint64_t address)
{
	point('z', 0, address, 1);
	ask("s");
	point('Z', 0, address, 1);
}

static void step(void)
{
	uint64_t rip = reg(RIP);
	int i, moved = 0;

	for (i = 0; i < 20; i++) {
		uint64_t next;

		ask("s");
		next = reg(RIP);
		/* Calls and jumps apart, an instruction has at most 15 bytes. */
		moved += next != rip && next - rip <= 15;
		rip = next;
	}
	printf("rsp: %d of 20 steps were short\n", moved);
	check(moved >= 10, "single steps go on, one instruction each");
}

static uint32_t word(uint64_t address)
{
	char packet[64];

	snprintf(packet, sizeof(packet), "m%lx,4", address);
	ask(packet);
	return ntohl(strtoul(reply, NULL, 16));
}

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int i;

	/* QEMU may not listen yet. */
	for (i = 0; i < 200; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
			return 0;
		close(fd);
		usleep(50000);
	}
	return -1;
}

int main(int argc, char **argv)
{
	uint64_t start, function, watched;

	setbuf(stdout, NULL);
	if (argc != 5 || dial(atoi(argv[1])))
		return 2;
	start = strtoul(argv[2], NULL, 16);
	function = strtoul(argv[3], NULL, 16);
	watched = strtoul(argv[4], NULL, 16);

	ask("?");
	check(reg(RIP) == 0xfff0, "the guest waits at the reset vector");
	/* The guest's code is not there yet: only a breakpoint of the processor's stays until it is. */
	point('Z', 1, start, 1);
	check(resume() == start, "a hardware breakpoint stops it at main()");
	point('z', 1, start, 1);
	step();

	point('Z', 0, function, 1);
	check(resume() == function, "a software breakpoint stops it at a function");
	pass(function);
	check(resume() == function, "and again at the next call");
	point('z', 0, function, 1);

	point('Z', 2, watched, 4);
	check(word(watched) == 0, "a word before it is written");
	resume();
	check(strstr(stopped, "watch:") && word(watched) == 1, "a watchpoint stops another processor after its write");
	point('z', 2, watched, 4);
	ask("D");
	check(!strcmp(reply, "OK"), "the debugger lets it go");
	return bad;
}
