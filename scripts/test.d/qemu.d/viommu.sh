#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: an L1 under QEMU that has an emulated IOMMU gives its NVMe disk to its L2 by vfio-pci. Prints TAP.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cd /lab || exit 1
[ -e /dev/droste ] && ln -sf droste /dev/kvm
count=0

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

said() { # words, name: whether a line of the guests has the words
	grep -q "$1" /tmp/out
	result $? "$2"
}

# The disk: 1 MiB that L2 reads, and as much behind it that L2 writes.
dd if=vmlinuz of=/tmp/disk bs=1M count=1 2> /dev/null
dd if=/dev/zero of=/tmp/disk bs=1M seek=1 count=7 2> /dev/null
sum=$(dd if=/tmp/disk bs=1M count=1 2> /dev/null | sha256sum)
cp l1.cpio /tmp/l1.cpio
(cd / && find lab/qemu-dir lab/vmlinuz lab/l2.cpio | cpio -o -H newc) >> /tmp/l1.cpio

timeout 2400 qemu-dir/qemu -nodefaults -no-user-config -display none -no-reboot -accel kvm -serial stdio \
	-M q35,kernel-irqchip=split -device intel-iommu,intremap=on -cpu host -m 900 -kernel vmlinuz -initrd /tmp/l1.cpio \
	-append "console=ttyS0 no_timer_check cryptomgr.notests mitigations=off loglevel=4 initcall_blacklist=jent_mod_init intel_iommu=on" \
	-drive file=/tmp/disk,format=raw,if=none,id=d -device nvme,serial=droste,drive=d < /dev/null 2>&1 | tr -d '\r' > /tmp/out
sed 's/^/# /' /tmp/out | tail -80
said "^l1: good: the IOMMU remaps interrupts" "L1 has an IOMMU with interrupt remapping"
said "^l1: good: vfio-pci has the disk" "L1 binds vfio-pci to the disk"
said "^l2: good: the disk has its interrupts" "L2 gets the disk's interrupts"
said "^l2: read $sum" "L2 reads what L0's disk has"
said "^l2: good: reads back what was written" "L2 reads back what it has written"
dd if=/tmp/disk of=/tmp/read bs=1M count=1 2> /dev/null
dd if=/tmp/disk of=/tmp/written bs=1M skip=1 count=1 2> /dev/null
cmp -s /tmp/read /tmp/written
result $? "L0's disk has what L2 has written"
said "^l1: L2 ended with 0" "L2 powers off, and L1 goes on"
said "^l1: powering off" "L1 powers off"
echo "1..$count"
