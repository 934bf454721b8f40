// SPDX-License-Identifier: GPL-2.0
/* Reads drostectl's port for moves, which counts them, or writes to it, which asks for one. For the Linux that moves. */
#include <stdio.h>
#include <sys/io.h>

#define PORT_MOVE 0xf8

int main(int argc, char **argv)
{
	(void)argv;
	if (ioperm(PORT_MOVE, 4, 1)) {
		perror("ioperm");
		return 1;
	}
	if (argc > 1)
		outl(1, PORT_MOVE);
	else
		printf("%u\n", inl(PORT_MOVE));
	return 0;
}
