#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L2 that counts for ever.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
n=0
while :; do
	n=$((n + 1))
	echo "L2: count $n"
	sleep 0.2
done
