#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Tests storms on a machine with two CPUs, in an L0 with Droste: the running CPU changes at random, and an L1 with L2s of
# many kinds keeps working.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac

echo "1..2"
found=$(./turns)
echo "# $found times CPU 0 missed a few turns"
[ "$found" -ge 100 ] || printf "not "
echo "ok 1 - a CPU misses turns"

./t_vmx_mixed > .out || printf "not "
echo "ok 2 - L2s of many kinds run in a storm"
sed 's/^/# /' .out
