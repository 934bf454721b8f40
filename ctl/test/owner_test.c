// SPDX-License-Identifier: GPL-2.0
/* Compares the owners of all control bits of VMCS02 with a file: a change of the merge shows as a change of that file. */
#include <stdio.h>
#include <string.h>

#include "owner.h"
#include "tap.h"

static const int words[] = {
	VMCS12_I_PIN_BASED_VM_EXEC_CONTROL, VMCS12_I_CPU_BASED_VM_EXEC_CONTROL, VMCS12_I_SECONDARY_VM_EXEC_CONTROL,
	VMCS12_I_VM_EXIT_CONTROLS, VMCS12_I_VM_ENTRY_CONTROLS, VMCS12_I_EXCEPTION_BITMAP,
};

/* L0's controls on the lab's processor. */
static const uint32_t l0[6] = { 0x7f, 0xb6a1fdfa, 0x02101aaa, 0x3f6fff, 0xd3ff, 0x60042 };

/* L1's controls on which the owners of others depend. */
static const struct {
	const char *name;
	uint32_t proc, proc2;
} sets[] = {
	{ "without TPR shadow", CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, 0 },
	{ "with TPR shadow", CPU_BASED_ACTIVATE_SECONDARY_CONTROLS | CPU_BASED_TPR_SHADOW, 0 },
	{ "with EPT", CPU_BASED_ACTIVATE_SECONDARY_CONTROLS, SECONDARY_EXEC_ENABLE_EPT },
	{ "no secondary", 0, 0 },
	{ "unconditional I/O", CPU_BASED_UNCOND_IO_EXITING, 0 },
};

/* A line of bits, 0 first: 0 L0's, 1 L1's, e either, b both, A always, . never, ? other, m mode. */
static void line(char *text, size_t size, int field, const struct vmcs12 *v, const char *what)
{
	static const char letters[] = "01ebA.?m";
	int len = snprintf(text, size, "%-30s %-20s ", vmcs12_fields[field].name, what);

	for (int bit = 0; bit < 32; bit++)
		text[len++] = letters[owner_of(field, bit, l0, v)];
	text[len] = 0;
}

int main(int argc, char **argv)
{
	static struct vmcs12 v;
	bool write = argc > 1 && !strcmp(argv[1], "--write");
	FILE *f = fopen("test/owner.golden", write ? "w" : "r");

	if (!f) {
		printf("1..0 # cannot open test/owner.golden\n");
		return 1;
	}
	for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
		v.cpu_based_vm_exec_control = sets[s].proc;
		v.secondary_vm_exec_control = sets[s].proc2;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			char text[128], want[128] = "";
			bool same;

			line(text, sizeof(text), words[i], &v, sets[s].name);
			if (write)
				fprintf(f, "%s\n", text);
			if (write)
				continue;
			same = fgets(want, sizeof(want), f) && !strncmp(text, want, strlen(text)) && want[strlen(text)] == '\n';
			tap_result(same, __FILE__, __LINE__, text);
			/* No bit of VMCS02 depends on both sides in a way that has no name. */
			ok(!strchr(text, '?'));
		}
	}
	fclose(f);
	return write ? 0 : tap_done();
}
