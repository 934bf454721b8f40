# SPDX-License-Identifier: GPL-2.0
# Prints Droste's exit counters by reason and level, from QEMU's answer to query-stats.
# The first input file has the names of the reasons: one number and name per line.
FNR == NR {
	name[$1] = $2
	next
}

{
	# Each statistic is an object {"name": ..., "value": [...]}, with its members in either order.
	parts = split($0, part, "{")
	for (i = 1; i <= parts; i++) {
		if (!match(part[i], /"[a-z0-9_]*exits[a-z0-9_]*_by_reason"/))
			continue
		which = substr(part[i], RSTART + 1, RLENGTH - 2)
		if (!match(part[i], /\[[0-9, ]*\]/))
			continue
		reasons = split(substr(part[i], RSTART + 1, RLENGTH - 2), value, /, */)
		for (r = 1; r <= reasons; r++)
			sum[which, r - 1] += value[r]
	}
}

function line(what, exits, l2, reflected) {
	printf "  %-22s %10d %10d %10d %10d\n", what, exits - l2, l2, reflected, l2 - reflected
}

END {
	# QEMU 7.2 lists the values in reverse. Reason 1 (external interrupt) always occurs, reason 78 never does.
	last = sum["exits_by_reason", 78] ? 79 : 0
	print "Exits taken by L0           from L1    from L2  reflected      by L0"
	for (r = 0; r < 80; r++) {
		i = last ? last - r : r
		exits = sum["exits_by_reason", i]
		if (!exits)
			continue
		l2 = sum["l2_exits_by_reason", i]
		reflected = sum["l2_exits_reflected_by_reason", i]
		line(r in name ? name[r] : "reason " r, exits, l2, reflected)
		all += exits
		all_l2 += l2
		all_reflected += reflected
	}
	line("all", all, all_l2, all_reflected)
}
