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
	for (int tpr = 0; tpr < 2; tpr++) {
		v.cpu_based_vm_exec_control = CPU_BASED_ACTIVATE_SECONDARY_CONTROLS | (tpr ? CPU_BASED_TPR_SHADOW : 0);
		v.secondary_vm_exec_control = 0;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			char text[128], want[128] = "";
			bool same;

			line(text, sizeof(text), words[i], &v, tpr ? "with TPR shadow" : "without TPR shadow");
			if (write)
				fprintf(f, "%s\n", text);
			if (write)
				continue;
			same = fgets(want, sizeof(want), f) && !strncmp(text, want, strlen(text)) && want[strlen(text)] == '\n';
			tap_result(same, __FILE__, __LINE__, text);
		}
	}
	fclose(f);
	return write ? 0 : tap_done();
}
