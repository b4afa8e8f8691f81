package checklist

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/conntally/conntally/conntrack/kernel"
)

// TestFoldedCommandIsSameForShell: a shell reads a folded command like the original one.
func TestFoldedCommandIsSameForShell(t *testing.T) {
	long := strings.Repeat("name", 60)
	for _, command := range []string{
		"true", "sysctl -w net.core.rmem_max=1",
		kernel.Flowtable{Family: 1, Table: long, Name: long}.Command(),
		"kill " + strings.Repeat("1234567 ", 100),
	} {
		want, err := exec.Command("sh", "-c", "printf '<%s>' "+command).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command("sh", "-c", "printf '<%s>' "+fold(command)).Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s\ngot  %s %v\nwant %s", fold(command), got, err, want)
		}
	}
	if strings.Contains(fold(kernel.TrackRule), "\n") {
		t.Error("the rule's quotes don't outlive being broken")
	}
}
