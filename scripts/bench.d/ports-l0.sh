#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: measures the rows of ports at L1, and boots an L1 Linux, to which the ports are passed, for those at L2.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
. ./ports.conf
# shellcheck disable=SC2086 # the options are several words
./micro --level l1:1 --only "$only" $options_l1
./drostectl run --pass-ports 0x80,0x84 --kernel vmlinuz --initrd l1.cpio --cpus 1 --memory 512 --append "$lean"
