#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of L1: prints a line about L1, loads Debian's kvm_intel, runs L2 on it, and powers off.
# Options on the kernel command line: kvm_intel.PARAMETER=V for the module; l2cpus=N, l2memory=MIB and l2append=WORD
# for L2; l1op=NAME runs a benchmark in L1 (scripts/bench.d/op.c).
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

# Options that avoid boot work without use here; see drostectl(8).
lean="quiet loglevel=1 tsc=reliable no_timer_check cryptomgr.notests mitigations=off init_on_alloc=0 pci=off io_delay=none"
lean="$lean 8250.nr_uarts=1 initcall_blacklist=jent_mod_init,init_kprobe_trace"

word() {
	for w in $(cat /proc/cmdline); do
		case $w in "$1="*) echo "${w#*=}"; return ;; esac
	done
	echo "$2"
}

/drostectl whoami L1
[ -z "$(word l1op)" ] || /op $(word l1op | tr , ' ')
modprobe kvm_intel || echo "L1: kvm_intel could not be loaded"
echo "L1: kvm_intel is loaded: ept=$(cat /sys/module/kvm_intel/parameters/ept)" \
	"nested=$(cat /sys/module/kvm_intel/parameters/nested) on $(nproc) CPUs"
/drostectl run --device /dev/kvm --kernel /vmlinuz --initrd /l2.cpio --cpus "$(word l2cpus 1)" \
	--memory "$(word l2memory 256)" --append "$lean $(word l2append "")"
status=$?
if [ $status = 0 ]; then
	echo "L1: L2 powered off cleanly"
else
	echo "L1: L2 ended with status $status"
fi
rmmod kvm_intel && echo "L1: kvm_intel is unloaded"
poweroff -f
