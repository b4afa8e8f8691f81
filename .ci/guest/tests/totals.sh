# Totals by both protocols equal what nftables counted where it entered, offloaded or not; and so
# do the counters of each device.
. ./lib
go_tests TestTotalsEqualIngress TestDevicesAreExactOverChanges
end
