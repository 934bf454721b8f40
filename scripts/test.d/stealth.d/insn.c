// SPDX-License-Identifier: GPL-2.0
/*
 * The probe's part "insn": what instructions do at CPL 3, those included that a processor lacks. Each is executed from a
 * page that cannot be written, so that nothing can put another instruction in its place unseen.
 */
#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "probe.h"

#define RET	0xc3

static sigjmp_buf back;
static uint8_t *page;
static struct {
	int signal, code;
	long trap, error, rip;
} fault;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;

	fault.signal = signal;
	fault.code = info->si_code;
	fault.trap = c->uc_mcontext.gregs[REG_TRAPNO];
	fault.error = c->uc_mcontext.gregs[REG_ERR];
	fault.rip = c->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, 1);
}

/* What an instruction's result is good for: */
enum result {
	NOTHING,	/* only whether it faults */
	RAX,		/* RAX is the same on all machines */
	FLAGS,		/* the arithmetic flags */
};

static const struct {
	const char *name;
	const char *bytes;
	int len;
	enum result result;
} insns[] = {
#define I(name, bytes, result)	{ name, bytes, sizeof(bytes) - 1, result }
	I("ud0", "\x0f\xff\xc0", NOTHING),
	I("ud1", "\x0f\xb9\xc0", NOTHING),
	I("ud2", "\x0f\x0b", NOTHING),
	I("vmcall", "\x0f\x01\xc1", NOTHING),
	I("vmmcall", "\x0f\x01\xd9", NOTHING),
	I("vmlaunch", "\x0f\x01\xc2", NOTHING),
	I("vmresume", "\x0f\x01\xc3", NOTHING),
	I("vmxoff", "\x0f\x01\xc4", NOTHING),
	I("vmfunc", "\x0f\x01\xd4", NOTHING),
	I("vmread", "\x0f\x78\xc8", NOTHING),
	I("vmwrite", "\x0f\x79\xc8", NOTHING),
	I("vmptrld", "\x0f\xc7\x37", NOTHING),
	I("vmptrst", "\x0f\xc7\x3f", NOTHING),
	I("vmclear", "\x66\x0f\xc7\x37", NOTHING),
	I("vmxon", "\xf3\x0f\xc7\x37", NOTHING),
	I("invept", "\x66\x0f\x38\x80\x07", NOTHING),
	I("invvpid", "\x66\x0f\x38\x81\x07", NOTHING),
	I("invpcid", "\x66\x0f\x38\x82\x07", NOTHING),
	I("getsec", "\x0f\x37", NOTHING),
	I("rsm", "\x0f\xaa", NOTHING),
	I("vmrun", "\x0f\x01\xd8", NOTHING),
	I("vmload", "\x0f\x01\xda", NOTHING),
	I("stgi", "\x0f\x01\xdc", NOTHING),
	I("skinit", "\x0f\x01\xde", NOTHING),
	I("invlpga", "\x0f\x01\xdf", NOTHING),
	I("monitor", "\x0f\x01\xc8", NOTHING),
	I("mwait", "\x0f\x01\xc9", NOTHING),
	I("monitorx", "\x0f\x01\xfa", NOTHING),
	I("mwaitx", "\x0f\x01\xfb", NOTHING),
	I("umonitor", "\xf3\x0f\xae\xf7", NOTHING),
	I("tpause", "\x66\x0f\xae\xf1", NOTHING),
	I("clac", "\x0f\x01\xca", NOTHING),
	I("encls", "\x0f\x01\xcf", NOTHING),
	I("enclu", "\x0f\x01\xd7", NOTHING),
	I("enclv", "\x0f\x01\xc0", NOTHING),
	I("pconfig", "\x0f\x01\xc5", NOTHING),
	I("wrmsrns", "\x0f\x01\xc6", NOTHING),
	I("seamcall", "\x66\x0f\x01\xcf", NOTHING),
	I("rdpru", "\x0f\x01\xfd", NOTHING),
	I("clzero", "\x0f\x01\xfc", NOTHING),
	I("serialize", "\x0f\x01\xe8", NOTHING),
	I("rdpkru", "\x0f\x01\xee", NOTHING),
	I("xtest", "\x0f\x01\xd6", NOTHING),
	I("xend", "\x0f\x01\xd5", NOTHING),
	I("xabort", "\xc6\xf8\x00", NOTHING),
	I("rdmsr", "\x0f\x32", NOTHING),
	I("wrmsr", "\x0f\x30", NOTHING),
	I("rdpmc", "\x0f\x33", NOTHING),
	I("rdtsc", "\x0f\x31", NOTHING),
	I("rdtscp", "\x0f\x01\xf9", NOTHING),
	I("rdpid", "\xf3\x0f\xc7\xf8", RAX),
	I("rdrand", "\x48\x0f\xc7\xf0", NOTHING),
	I("rdseed", "\x48\x0f\xc7\xf8", NOTHING),
	I("hlt", "\xf4", NOTHING),
	I("cli", "\xfa", NOTHING),
	I("sti", "\xfb", NOTHING),
	I("clts", "\x0f\x06", NOTHING),
	I("lmsw", "\x0f\x01\xf0", NOTHING),
	I("invd", "\x0f\x08", NOTHING),
	I("wbinvd", "\x0f\x09", NOTHING),
	I("wbnoinvd", "\xf3\x0f\x09", NOTHING),
	I("invlpg", "\x0f\x01\x3f", NOTHING),
	I("in", "\xec", NOTHING),
	I("out", "\xe6\x80", NOTHING),
	I("insb", "\x6c", NOTHING),
	I("mov-from-cr0", "\x0f\x20\xc0", NOTHING),
	I("mov-from-cr8", "\x44\x0f\x20\xc0", NOTHING),
	I("mov-from-dr0", "\x0f\x21\xc0", NOTHING),
	I("mov-to-dr7", "\x0f\x23\xf8", NOTHING),
	I("sgdt", "\x0f\x01\x07", NOTHING),
	I("sidt", "\x0f\x01\x0f", NOTHING),
	I("sldt", "\x0f\x00\xc0", RAX),
	I("str", "\x0f\x00\xc8", RAX),
	I("smsw", "\x48\x0f\x01\xe0", RAX),
	I("lsl-cpu", "\xb8\x7b\x00\x00\x00\x0f\x03\xc0", RAX),
	I("lar-cs", "\xb8\x33\x00\x00\x00\x0f\x02\xc0", RAX),
	I("verr-null", "\x31\xc0\x0f\x00\xe0", FLAGS),
	I("lgdt", "\x0f\x01\x17", NOTHING),
	I("lldt", "\x0f\x00\xd0", NOTHING),
	I("ltr", "\x0f\x00\xd8", NOTHING),
	I("swapgs", "\x0f\x01\xf8", NOTHING),
	I("sysexit", "\x0f\x35", NOTHING),
	I("sysret", "\x48\x0f\x07", NOTHING),
	I("rdfsbase", "\xf3\x48\x0f\xae\xc0", NOTHING),
	I("int3", "\xcc", NOTHING),
	I("int1", "\xf1", NOTHING),
	I("int-1", "\xcd\x01", NOTHING),
	I("int-3", "\xcd\x03", NOTHING),
	I("int-4", "\xcd\x04", NOTHING),
	I("int-0x20", "\xcd\x20", NOTHING),
	I("int-0x2d", "\xcd\x2d", NOTHING),
	I("int-0xff", "\xcd\xff", NOTHING),
	I("long-int3", "\xcd\x03", NOTHING),
	I("push-es", "\x06", NOTHING),
	I("lock-nop", "\xf0\x90", NOTHING),
	I("lock-mov-cr8", "\xf0\x0f\x20\xc0", NOTHING),
	I("sixteen-prefixes", "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", NOTHING),
	I("divide-by-0", "\x31\xd2\x31\xc9\xf7\xf1", NOTHING),
	I("xgetbv-0", "\x31\xc9\x0f\x01\xd0", RAX),
	I("xgetbv-1", "\xb9\x01\x00\x00\x00\x0f\x01\xd0", NOTHING),
	I("xgetbv-2", "\xb9\x02\x00\x00\x00\x0f\x01\xd0", NOTHING),
	I("xsetbv", "\x31\xc9\x0f\x01\xd1", NOTHING),
	I("fxsave", "\x0f\xae\x07", NOTHING),
	I("xsave", "\x48\x0f\xae\x27", NOTHING),
	I("xsavec", "\x48\x0f\xc7\x27", NOTHING),
	I("xsaves", "\x48\x0f\xc7\x2f", NOTHING),
	I("xrstors", "\x48\x0f\xc7\x1f", NOTHING),
	I("xsaveopt", "\x48\x0f\xae\x37", NOTHING),
	I("aesenc", "\x66\x0f\x38\xdc\xc1", NOTHING),
	I("pclmulqdq", "\x66\x0f\x3a\x44\xc1\x00", NOTHING),
	I("sha1rnds4", "\x0f\x3a\xcc\xc1\x00", NOTHING),
	I("gf2p8mulb", "\x66\x0f\x38\xcf\xc1", NOTHING),
	I("vaesenc", "\xc4\xe2\x75\xdc\xc2", NOTHING),
	I("vpaddd-ymm", "\xc5\xf5\xfe\xc2", NOTHING),
	I("vaddps-ymm", "\xc5\xf4\x58\xc2", NOTHING),
	I("vfmadd", "\xc4\xe2\x71\x98\xc2", NOTHING),
	I("vpaddd-zmm", "\x62\xf1\x75\x48\xfe\xc2", NOTHING),
	I("vpdpbusd", "\x62\xf2\x75\x48\x50\xc2", NOTHING),
	I("tilerelease", "\xc4\xe2\x78\x49\xc0", NOTHING),
	I("movbe", "\x0f\x38\xf0\x07", NOTHING),
	I("popcnt", "\xf3\x0f\xb8\xc1", NOTHING),
	I("lzcnt", "\xb9\x10\x00\x00\x00\xf3\x0f\xbd\xc1", RAX),
	I("tzcnt", "\xb9\x00\x00\x00\x00\xf3\x0f\xbc\xc1", RAX),
	I("andn", "\xc4\xe2\x70\xf2\xc2", NOTHING),
	I("pdep", "\xc4\xe2\x73\xf5\xc2", NOTHING),
	I("adcx", "\x66\x0f\x38\xf6\xc1", NOTHING),
	I("crc32", "\xf2\x0f\x38\xf1\xc1", NOTHING),
	I("cmpxchg16b", "\x48\x0f\xc7\x0f", NOTHING),
	I("clflushopt", "\x66\x0f\xae\x3f", NOTHING),
	I("clwb", "\x66\x0f\xae\x37", NOTHING),
	I("cldemote", "\x0f\x1c\x07", NOTHING),
	I("movdiri", "\x0f\x38\xf9\x07", NOTHING),
	I("movdir64b", "\x66\x0f\x38\xf8\x37", NOTHING),
	I("enqcmd", "\xf2\x0f\x38\xf8\x37", NOTHING),
	I("ptwrite", "\xf3\x0f\xae\xe0", NOTHING),
	I("bndmk", "\xf3\x0f\x1b\x07", NOTHING),
	I("rdsspq", "\xf3\x48\x0f\x1e\xc8", NOTHING),
	I("wrssq", "\x48\x0f\x38\xf6\x07", NOTHING),
	I("uiret", "\xf3\x0f\x01\xec", NOTHING),
	I("llwpcb", "\x8f\xe9\x78\x12\xc0", NOTHING),
	I("vmsave-sev-pvalidate", "\xf2\x0f\x01\xff", NOTHING),
	I("extrq", "\x66\x0f\x78\xc0\x00\x00", NOTHING),
	I("femms", "\x0f\x0e", NOTHING),
	I("salc", "\xd6", NOTHING),
	I("prefetchw", "\x0f\x0d\x0f", NOTHING),
#undef I
};

/* The vector as the manuals name it. */
static const char *vector(long trap)
{
	static const char *const names[] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "-", "#TS", "#NP", "#SS",
					     "#GP", "#PF", "-", "#MF", "#AC", "#MC", "#XM", "#VE", "#CP" };

	return trap >= 0 && trap < (long)(sizeof(names) / sizeof(names[0])) ? names[trap] : "?";
}

/* Executes what is on the page, with a buffer in RDI and RSI. */
static void execute(void *buffer, uint64_t *rax, uint64_t *flags)
{
	uint64_t a = 0x1122334455667788, d = 0, c = 0;

	asm volatile("call *%[page]; pushfq; pop %[flags]"
		     : "+a"(a), "+d"(d), "+c"(c), [flags] "=&r"(*flags)
		     : [page] "r"(page), "D"(buffer), "S"(buffer)
		     : "rbx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "memory", "cc");
	*rax = a;
}

static void say_insn(size_t i)
{
	static uint8_t buffer[8192] __attribute__((aligned(4096)));
	volatile uint64_t rax = 0, flags = 0;
	char name[64];

	memset(buffer, 0, sizeof(buffer));
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	memset(page, RET, 4096);
	memcpy(page, insns[i].bytes, insns[i].len);
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	snprintf(name, sizeof(name), "insn.%s", insns[i].name);
	if (!sigsetjmp(back, 1)) {
		uint64_t a, f;

		execute(buffer, &a, &f);
		rax = a;
		flags = f;
		if (insns[i].result == RAX)
			say(name, "0x%llx", (unsigned long long)rax);
		else if (insns[i].result == FLAGS)
			say(name, "flags 0x%llx", (unsigned long long)(flags & 0x8d5));
		else
			say(name, "executes");
		if (!strcmp(insns[i].name, "sgdt") || !strcmp(insns[i].name, "sidt")) {
			snprintf(name, sizeof(name), "insn.%s.value", insns[i].name);
			/* The base moves with the kernel's address space. */
			say(name, "limit 0x%x, base 0x%02x%02x...", buffer[0] | buffer[1] << 8, buffer[9], buffer[8]);
		}
		return;
	}
	say(name, "%s, error code 0x%lx, signal %d code %d, at +%ld", vector(fault.trap), fault.trap == 14 ? fault.error & ~4 : fault.error,
	    fault.signal, fault.code, fault.rip - (long)page);
}

/* A 32-bit address ends at 4 GiB: after an instruction of the last bytes, EIP is 0. VMAware's EIP_OVERFLOW. */
static void say_wrap(const char *what, const char *bytes, size_t len)
{
	uint8_t *last = mmap((void *)0xfffff000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	struct {
		uint32_t offset;
		uint16_t selector;
	} __attribute__((packed)) target = { -(uint32_t)len, 0x23 };
	char name[64];

	snprintf(name, sizeof(name), "insn.wrap.%s", what);
	if (last != (void *)0xfffff000) {
		say(name, "no memory there");
		return;
	}
	memcpy(last + 4096 - len, bytes, len);
	mprotect(last, 4096, PROT_READ | PROT_EXEC);
	if (!sigsetjmp(back, 1))
		asm volatile("ljmp *%0" : : "m"(target), "a"(0), "c"(0) : "rbx", "rdx", "memory");
	say(name, "%s at 0x%lx", vector(fault.trap), fault.rip);
	munmap(last, 4096);
}

void probe_insn(void)
{
	static const int signals[] = { SIGSEGV, SIGILL, SIGTRAP, SIGFPE, SIGBUS };
	static uint8_t stack[65536];
	const stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	on_cpu(0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&alternative, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++)
		say_insn(i);
	say_wrap("cpuid", "\x0f\xa2", 2);
	say_wrap("rdtsc", "\x0f\x31", 2);
	say_wrap("nop", "\x90", 1);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}
