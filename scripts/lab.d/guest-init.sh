#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Default /init of an initramfs made by "lab make-initramfs": a shell on the console.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
setsid -c sh -l < /dev/console > /dev/console 2>&1
poweroff -f
