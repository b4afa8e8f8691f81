#!/bin/sh
# The demonstration's totals agree.
# shellcheck source=.ci/guest/tests/lib
. ./lib
./conntally version
for protocol in ipfix netflow9; do
	holds "demo by $protocol" ./conntally demo --protocol $protocol
done
end
