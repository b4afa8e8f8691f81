#!/bin/sh
# Totals by both protocols equal what nftables counted where it entered, offloaded or not; and so
# do the counters of each device.
# shellcheck source=.ci/guest/tests/lib
. ./lib
go_tests TestTotalsEqualIngress TestDevicesAreExactOverChanges
end
