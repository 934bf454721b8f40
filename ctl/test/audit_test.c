// SPDX-License-Identifier: GPL-2.0
/* Checks "drostectl audit": the samples in test/audit, nested states, wrong files and options. */
#include <stddef.h>
#include <linux/kvm.h>

#include "nested/vmcs12.h"
#include "spawn.h"
#include "tap.h"

#define SAMPLES	"test/audit/"

static struct child c;
static char file[80];	/* a file that a test makes */

#define audit(...) \
	run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "audit", "--caps", "default", __VA_ARGS__, NULL })

static bool said(const char *text)
{
	return memmem(c.said, c.nr_said, text, strlen(text));
}

static bool told(const char *text)
{
	return memmem(c.told, c.nr_told, text, strlen(text));
}

/* Whether the output is what a file contains. */
static bool said_file(const char *name)
{
	static char expected[sizeof(c.said)];
	FILE *f = fopen(name, "r");
	size_t n = f ? fread(expected, 1, sizeof(expected), f) : 0;
	size_t at = 0, line = 0;

	if (f)
		fclose(f);
	for (; at < n && at < c.nr_said && expected[at] == c.said[at]; at++)
		if (c.said[at] == '\n')
			line = at + 1;
	if (n && at == n && n == c.nr_said)
		return true;
	printf("# the output is not that in %s, from the line \"%.*s\" on\n", name,
	       (int)strcspn(c.said + line, "\n"), c.said + line);
	return false;
}

static void check_samples(void)
{
	ok(audit(SAMPLES "dump-6.12.txt") == 1 && said_file(SAMPLES "dump-6.12.expected"));
	ok(audit(SAMPLES "dump-6.1-two.txt") == 1 && said_file(SAMPLES "dump-6.1-two.expected"));
	ok(audit("--dump", "1", SAMPLES "dump-6.1-two.txt") == 0 && said(" 0 broken"));
	ok(audit(SAMPLES "dump-mail.txt") == 1 && said_file(SAMPLES "dump-mail.expected"));
	ok(audit(SAMPLES "dump-xen.txt") == 1 && said_file(SAMPLES "dump-xen.expected"));
	/* The same VMCS of an L1, saved by each hypervisor in the lab. */
	ok(audit(SAMPLES "state-droste.bin") == 1 && said_file(SAMPLES "state-droste.expected"));
	ok(audit(SAMPLES "state-kvm.bin") == 1 && said_file(SAMPLES "state-kvm.expected"));
	ok(audit(SAMPLES "vmcs.json") == 1 && said_file(SAMPLES "vmcs.expected"));
	ok(audit("--source", SAMPLES "vmcs.json") == 1 && said_file(SAMPLES "vmcs-source.expected"));
	ok(audit("--json", SAMPLES "vmcs.json") == 1 && said_file(SAMPLES "vmcs-json.expected"));
	ok(audit(SAMPLES "beyond.json") == 1 && said_file(SAMPLES "beyond.expected"));
	/* What it prints as JSON, it reads. */
	write_file(file, c.said, 0);
	ok(audit("--json", SAMPLES "vmcs.json") == 1);
	write_file(file, c.said, c.nr_said);
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "audit", file, NULL }) == 1);
	ok(said("those in the file") && said(" 12 broken"));
	/* The capabilities of a guest for a VMCS that a guest made, those of the processor for a dump. */
	ok(audit("--caps", SAMPLES "caps.json", SAMPLES "vmcs.json") == 1 && said("of 40 bits"));
	ok(said("0xfdf9fffe04006172"));
	ok(audit("--caps", SAMPLES "caps.json", SAMPLES "dump-6.12.txt") == 1 && said("of 46 bits"));
	ok(said("must be 0:   UMIP, PKE") && said("0x0211ffff00000000") && !said("\033"));
}

/* A nested state with a VMCS12 whose fields are all 0 but for the arguments. */
static struct {
	struct kvm_nested_state head;
	struct kvm_vmx_nested_state_data data;
} state;

static struct vmcs12 *make_state(void)
{
	struct vmcs12 *v = (struct vmcs12 *)state.data.vmcs12;

	memset(&state, 0, sizeof(state));
	state.head.format = KVM_STATE_NESTED_FORMAT_VMX;
	state.head.size = sizeof(state);
	state.head.flags = KVM_STATE_NESTED_GUEST_MODE | KVM_STATE_NESTED_RUN_PENDING;
	state.head.hdr.vmx.vmxon_pa = 0x1000;
	state.head.hdr.vmx.vmcs12_pa = 0x2000;
	v->revision_id = VMCS12_REVISION;
	v->vmcs_link_pointer = 0x3000;
	((struct vmcs12 *)state.data.shadow_vmcs12)->revision_id = VMCS12_REVISION;
	return v;
}

static int audit_state(size_t size)
{
	write_file(file, &state, size);
	return audit(file);
}

static void check_states(void)
{
	struct vmcs12 *v = make_state();

	ok(audit_state(sizeof(state)) == 1 && said("nested state, VMCS at 0x2000, 153 of 153 fields"));
	ok(said("PIN_CONTROLS") && said("HOST_CS_NULL") && said("RFLAGS_RESERVED") && said(", 0 not judged"));
	ok(!said("LINK_REVISION"));
	/* The VMCS at the link pointer has another revision; then it is not in the file. */
	((struct vmcs12 *)state.data.shadow_vmcs12)->revision_id = 1;
	ok(audit_state(sizeof(state)) == 1 && said("LINK_REVISION  SDM 3C 27.3.1.5"));
	state.head.size -= KVM_STATE_NESTED_VMX_VMCS_SIZE;
	ok(audit_state(sizeof(state)) == 1 && said("L1's memory                      LINK_REVISION"));
	v->vmcs_link_pointer = 0x2000;
	ok(audit_state(sizeof(state)) == 1 && said("LINK_CURRENT  SDM"));
	/* L2 has run: what L1's memory held at the entry does not matter. */
	make_state();
	v->cpu_based_vm_exec_control = 1u << 21;
	v->tpr_threshold = 1;
	ok(audit_state(sizeof(state)) == 1 && said("L1's memory                      TPR_THRESHOLD_VTPR"));
	state.head.flags = KVM_STATE_NESTED_GUEST_MODE;
	ok(audit_state(sizeof(state)) == 1 && said(", 0 not judged"));
	/* The page alone. */
	write_file(file, v, KVM_STATE_NESTED_VMX_VMCS_SIZE);
	ok(audit(file) == 1 && said("VMCS12, 153 of 153 fields"));
}

static void check_wrong_states(void)
{
	make_state();
	ok(audit_state(sizeof(state) - 1) == 2 && told("the nested state has 8320 bytes, the file only 8319"));
	ok(audit_state(127) == 2 && told("neither a nested state, nor JSON, nor a log"));
	state.head.size = 100;
	ok(audit_state(sizeof(state)) == 2 && told("gives its size as 100 bytes"));
	state.head.size = 200;
	ok(audit_state(sizeof(state)) == 2 && told("has 72 bytes of the VMCS, not 4096"));
	make_state()->revision_id = 7;
	ok(audit_state(sizeof(state)) == 2 && told("not of KVM's and Droste's revision 0x11e57ed0"));
	make_state();
	state.head.hdr.vmx.vmcs12_pa = ~0ULL;
	ok(audit_state(sizeof(state)) == 2 && told("no VMCS: L1 had no current VMCS"));
	state.head.hdr.vmx.vmxon_pa = ~0ULL;
	ok(audit_state(sizeof(state)) == 2 && told("L1 was not in VMX operation"));
}

static int audit_text(const char *text)
{
	write_file(file, text, strlen(text));
	return audit(file);
}

static void check_wrong_texts(void)
{
	ok(audit("/nonexistent") == 2 && told("cannot read /nonexistent: No such file or directory"));
	ok(audit("/") == 2 && told("cannot read /: Is a directory"));
	ok(audit_text("") == 2 && told("the file is empty"));
	ok(audit_text("nothing\n") == 2 && told("nor a log with a VMCS that KVM or Xen dumped"));
	ok(audit_text("*** Guest State ***\n") == 2 && told("no line of it can be read"));
	ok(audit_text("*** Guest State ***\nCR3 = 0x123456789abcdef01\n") == 2 && told("no line of it can be read"));
	ok(audit_text("*** Guest State ***\nCR3 = 0x1000\n") == 0 && said("1 of 153 fields"));
	ok(audit("--dump", "2", file) == 2 && told("there is no dump 2; the log has 1"));
	ok(audit_text("{\n\"fields\": {\"GUEST_RIP\": \"0x1\",\n") == 2 && told("not JSON: error in line 3"));
	ok(audit_text("{}") == 2 && told("no object \"fields\""));
	ok(audit_text("{\"fields\": {}}") == 2 && told("the JSON has no VMCS field"));
	ok(audit_text("{\"fields\": {\"RIP\": 1}}") == 2 && told("no VMCS field; unknown is RIP"));
	ok(audit_text("{\"fields\": {\"R\\u001bI\\nP\": 1}}") == 2 && told("unknown is R?I?P\n"));
	ok(audit_text("{\"fields\": {\"GUEST_RIP\": -1}}") == 2 && told("value of GUEST_RIP is no number"));
	ok(audit_text("{\"fields\": {\"GUEST_CS_SELECTOR\": 65536}}") == 2 && told("no number of its width"));
	ok(audit_text("{\"fields\": {\"GUEST_RIP\": 1}, \"capabilities\": {\"0x47f\": 1}}") == 2);
	ok(told("capability \"0x47f\" is none of the MSRs 0x480 to 0x491"));
	ok(audit_text("{\"fields\": {\"GUEST_RIP\": 1}, \"maxphyaddr\": 53}") == 2 && told("maxphyaddr"));
	ok(audit_text("{\"fields\": {\"GUEST_RIP\": \"0x\\u0031f\"}}") == 0);
	ok(audit_text("{\"fields\":") == 2 && audit_text("{\"") == 2 && audit_text("{\"\\") == 2);
	ok(audit("--caps", SAMPLES "vmcs.json", SAMPLES "vmcs.json") == 2 && told("has neither \"capabilities\""));
	ok(audit("--caps", "/nonexistent", SAMPLES "vmcs.json") == 2 && told("cannot read /nonexistent"));
}

static void check_options(void)
{
	char *colourful[6] = { stub, "audit", "--caps", "default", SAMPLES "dump-6.12.txt", NULL };

	ok(audit("--dump", "0", SAMPLES "vmcs.json") == 2 && told("--dump expects a number from 1"));
	ok(audit("--nothing", SAMPLES "vmcs.json") == 2);
	ok(run_to_end(&c, "", TO_PIPE, (char *[]){ stub, "audit", NULL }) == 2 && told("no file given"));
	ok(audit("one", "two") == 2 && told("unexpected argument \"two\""));
	ok(run_to_end(&c, "", TO_FULL, (char *[]){ stub, "audit", SAMPLES "vmcs.json", NULL }) == 1);
	ok(told("No space left on device"));
	/* Colours on a terminal only, and not if NO_COLOR is set. */
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	start(&c, "", true, TO_TERMINAL, NULL, colourful);
	ok(says(&c, "\033[1;31mRFLAGS_IF\033[0m") && says(&c, "invalid guest state.") && status_of(&c) == 1);
	finish(&c);
	setenv("NO_COLOR", "1", 1);
	start(&c, "", true, TO_TERMINAL, NULL, colourful);
	ok(says(&c, "invalid guest state.") && !said("\033") && status_of(&c) == 1);
	finish(&c);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	snprintf(file, sizeof(file), "%s/file", work);
	check_samples();
	check_states();
	check_wrong_states();
	check_wrong_texts();
	check_options();
	unlink(file);
	spawn_end();
	return tap_done();
}
