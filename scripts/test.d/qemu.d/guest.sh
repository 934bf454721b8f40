#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of a Linux guest of QEMU: uses each virtio device, prints the results, and powers off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
cd /tmp || exit

verdict() {
	if [ "$1" = 0 ]; then echo "guest: good: $2"; else echo "guest: BAD: $2"; fi
}

echo "guest: $(nproc) processors, $(uname -r)"
for module in virtio_blk virtio_net virtio-rng; do
	modprobe $module || echo "guest: BAD: module $module"
done
if [ -e /dev/vda ]; then
	# The data that it writes depends on the data that it read, so that the result shows both.
	dd if=/dev/vda of=head bs=4096 count=64 2> /dev/null
	dd if=head of=/dev/vda bs=4096 seek=64 conv=fsync 2> /dev/null
	echo 3 > /proc/sys/vm/drop_caches
	dd if=/dev/vda of=copy bs=4096 skip=64 count=64 2> /dev/null
	cmp head copy
	verdict $? "virtio-blk reads back what was written"
fi
if [ -e /sys/class/net/eth0 ]; then
	ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0
	tftp -g -r sent -l got -b 1468 10.0.2.2
	echo "guest: got $(sha256sum < got)"
	verdict $? "virtio-net fetches a file"
fi
if grep -q virtio /sys/class/misc/hw_random/rng_available 2> /dev/null; then
	dd if=/dev/hwrng of=random bs=64 count=1 2> /dev/null
	[ "$(wc -c < random)" -gt 0 ] && ! dd if=/dev/zero bs=64 count=1 2> /dev/null | cmp -s - random
	verdict $? "virtio-rng gives numbers"
fi
if grep -q count /proc/cmdline; then
	# For a machine that is saved and restored: counts the uncached reads of the disk.
	n=0
	while echo 1 > /proc/sys/vm/drop_caches && dd if=/dev/vda of=again bs=4096 skip=64 count=64 2> /dev/null && cmp copy again; do
		n=$((n + 1))
		echo "count $n"
		usleep 20000
	done
	echo "guest: BAD: the disk reads otherwise"
fi
echo "guest: irqs $(grep -c virtio /proc/interrupts)"
echo "guest: powering off"
poweroff -f
