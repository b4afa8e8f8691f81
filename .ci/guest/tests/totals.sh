#!/bin/sh
# Totals by both protocols equal what nftables counted where it entered, offloaded or not; and so
# do the counters of each device. A collector is reached in a VRF.
# shellcheck source=.ci/guest/tests/lib
. ./lib
go_tests TestTotalsEqualIngress TestDevicesAreExactOverChanges TestCollectorInVRF
end
