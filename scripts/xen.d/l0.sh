#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: QEMU starts Xen and its dom0 as L1, on whatever hypervisor the lab has loaded.
# Usage: l0.sh CPUS MEMORY WORDS... ; MEMORY in MiB is L1's, WORDS are dom0's (dom0-init.sh); /lab has qemu, xen, vmlinuz, dom0.cpio.
cpus=$1 memory=$2
shift 2
[ -e /dev/droste ] && ln -sf droste /dev/kvm
echo "L0: Linux $(uname -r) with $(grep -oE '^(droste|kvm_intel)' /proc/modules)"
# Each character on the serial port costs exits, so Xen says little; noreboot keeps a crash's last words.
qemu/qemu -accel kvm -nodefaults -no-user-config -display none -no-reboot -serial stdio -M q35 -cpu host -smp "$cpus" \
	-m "$memory" -kernel xen -append "com1=115200,8n1 console=com1 loglvl=warning dom0_mem=768M" \
	-initrd "vmlinuz console=hvc0 loglevel=4 cryptomgr.notests mitigations=off -- $*,dom0.cpio"
status=$?
if [ $status = 0 ]; then
	echo "L0: Xen powered off cleanly"
else
	echo "L0: QEMU ended with status $status"
fi
exit $status
