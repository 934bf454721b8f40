#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In L0: runs QEMU on Droste (or on kvm_intel) with many machines, one after the other. Prints TAP.
# The arguments name the groups of cases; each is a function below.
cd /lab || exit 1
[ -e /dev/droste ] && ln -sf droste /dev/kvm
count=0
limit=300

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# QEMU with nothing but what is named; its output, and the guest's, in /tmp/out.
qemu() {
	timeout $limit qemu-dir/qemu -accel kvm -nodefaults -no-user-config -display none -no-reboot -serial stdio "$@" \
		< /dev/null > /tmp/out 2>&1
}

# What QEMU itself says of features that it cannot have goes to the log, each line once.
said() {
	tr -d '\r' < /tmp/out | grep '^qemu' | grep -v 'SMP cpus requested\|hotpluggable cpus' | sed 's/^/# /' | head -12
}

shown() { # status: the output of what failed
	[ "$1" = 0 ] || tail -40 /tmp/out | sed 's/^/# /'
}

# The guest of pc.c, with the arguments after the first two, which are the case's name and what the guest must say.
pc() {
	name=$1 words=$2
	shift 2
	qemu -m 32 -kernel pc.elf -device edu -device isa-debug-exit,iobase=0xf4,iosize=1 "$@"
	status=$?
	# pc.c's last word is 42, of which QEMU makes 2 * 42 + 1.
	[ $status = 85 ] && grep -q "$words" /tmp/out
	bad=$?
	said
	shown $bad
	result $bad "$name"
}

# A Linux guest with a disk, a network and random numbers.
linux() {
	name=$1
	shift
	dd if=vmlinuz of=/tmp/disk bs=4096 count=128 2> /dev/null
	mkdir -p /tmp/tftp
	[ -e /tmp/tftp/sent ] || dd if=vmlinuz of=/tmp/tftp/sent bs=100000 count=3 2> /dev/null
	qemu -m 256 -kernel vmlinuz -initrd linux.cpio "$@" \
		-append "console=ttyS0 no_timer_check cryptomgr.notests mitigations=off loglevel=4 initcall_blacklist=jent_mod_init" \
		-drive file=/tmp/disk,format=raw,if=none,id=d -device virtio-blk-pci,drive=d \
		-netdev user,id=n,tftp=/tmp/tftp -device virtio-net-pci,netdev=n,romfile= -device virtio-rng-pci
	status=$?
	bad=0
	for words in "good: virtio-blk" "good: virtio-net" "good: virtio-rng" "guest: powering off" \
			"guest: got $(sha256sum < /tmp/tftp/sent)"; do
		grep -q "$words" /tmp/out || bad=1
	done
	grep -q BAD /tmp/out && bad=1
	[ $status = 0 ] || bad=1
	said
	shown $bad
	result $bad "$name: boots, virtio-blk, virtio-net, virtio-rng, powers off"
	# The host's own look at the disk: its first part is twice in it now.
	dd if=vmlinuz of=/tmp/want bs=4096 count=64 2> /dev/null
	dd if=/tmp/disk of=/tmp/have bs=4096 skip=64 count=64 2> /dev/null
	cmp /tmp/want /tmp/have > /dev/null 2>&1
	result $? "$name: what the guest wrote is on the host's disk"
}

pcs() {
	for machine in pc q35; do
		for chip in on split; do
			pc "QEMU -M $machine, kernel-irqchip=$chip, 1 vCPU" "pc: processors 1" \
				-M $machine,kernel-irqchip=$chip -cpu host -smp 1
			pc "QEMU -M $machine, kernel-irqchip=$chip, 4 vCPUs" "pc: processors 4" \
				-M $machine,kernel-irqchip=$chip -cpu host -smp 4
		done
	done
	pc "QEMU -cpu host shows VMX" "^pc: VMX" -M q35 -cpu host
	pc "QEMU -cpu host,-vmx hides it" "^pc: no VMX" -M q35 -cpu host,-vmx
	pc "QEMU -cpu qemu64" "QEMU Virtual CPU" -M pc -cpu qemu64
	pc "QEMU -cpu Nehalem" "i7 9xx (Nehalem" -M pc -cpu Nehalem
	pc "QEMU -cpu Haswell" "Intel Core Processor (Haswell" -M q35 -cpu Haswell
	pc "QEMU -cpu Skylake-Client" "Intel Core Processor (Skylake" -M q35 -cpu Skylake-Client
	pc "QEMU -cpu max" "pc: booted" -M q35 -cpu max
}

linuxes() {
	linux "Linux, -M pc, kernel-irqchip=on, 1 vCPU" -M pc,kernel-irqchip=on -cpu host -smp 1
	linux "Linux, -M q35, kernel-irqchip=split, 4 vCPUs, -cpu Skylake-Client" \
		-M q35,kernel-irqchip=split -cpu Skylake-Client -smp 4
}

# QEMU's gdb stub, with rsp.c as the debugger; symbols.sh, made with pc.elf, says where things are in it.
gdb() {
	. ./symbols.sh
	ip link set lo up
	qemu -m 32 -M q35 -cpu host -smp 2 -kernel pc.elf -device edu -device isa-debug-exit,iobase=0xf4,iosize=1 \
		-gdb tcp:127.0.0.1:1234 -S &
	timeout $limit ./rsp 1234 "$main" "$say" "$aps_running" > /tmp/rsp 2>&1
	status=$?
	sed 's/^/# /' /tmp/rsp
	result $status "QEMU's debugger: breakpoints of both kinds, a watchpoint, single steps"
	wait $!
	[ $? = 85 ] || grep -q "pc: all well" /tmp/out
	bad=$?
	shown $bad
	result $bad "QEMU's debugger: the guest goes on undisturbed"
}

for group in "$@"; do
	"$group"
done
echo "1..$count"
