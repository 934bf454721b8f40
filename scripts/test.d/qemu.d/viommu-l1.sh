#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L1 that has an IOMMU: gives its NVMe disk to a guest by vfio-pci, and runs it with the QEMU of L0.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp

verdict() { # status, name
	if [ "$1" = 0 ]; then echo "l1: good: $2"; else echo "l1: BAD: $2"; fi
}

for module in kvm_intel vfio_iommu_type1 vfio-pci; do
	modprobe $module || echo "l1: BAD: module $module"
done
dmesg | grep -i 'DMAR' | tail -20
dmesg | grep -q 'DMAR-IR: Enabled IRQ remapping'
verdict $? "the IOMMU remaps interrupts"
device=
for path in /sys/bus/pci/devices/*; do
	[ "$(cat "$path/class")" = 0x010802 ] && device=${path##*/}
done
echo "l1: the disk is $device, in IOMMU group $(basename "$(readlink "/sys/bus/pci/devices/$device/iommu_group")")"
echo vfio-pci > "/sys/bus/pci/devices/$device/driver_override"
echo "$device" > "/sys/bus/pci/devices/$device/driver/unbind"
echo "$device" > /sys/bus/pci/drivers/vfio-pci/bind
[ "$(basename "$(readlink "/sys/bus/pci/devices/$device/driver")")" = vfio-pci ]
verdict $? "vfio-pci has the disk"
/lab/qemu-dir/qemu -nodefaults -no-user-config -display none -no-reboot -accel kvm -serial stdio \
	-M q35 -cpu host -m 192 -kernel /lab/vmlinuz -initrd /lab/l2.cpio \
	-append "console=ttyS0 no_timer_check cryptomgr.notests mitigations=off loglevel=4 initcall_blacklist=jent_mod_init" \
	-device "vfio-pci,host=$device" < /dev/null
echo "l1: L2 ended with $?"
dmesg | grep -i 'DMAR.*fault\|vfio' | tail -5
echo "l1: powering off"
poweroff -f
