package probe

import (
	"os"
	"testing"
)

// asHangingProbe makes the test binary a probe whose reader hangs.
const asHangingProbe = "CONNTALLY_TEST_HANGING_PROBE"

func TestMain(m *testing.M) {
	if os.Getenv(asHangingProbe) != "" {
		runHangingProbe()
	}
	os.Exit(m.Run())
}
