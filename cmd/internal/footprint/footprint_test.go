package footprint

import (
	"slices"
	"testing"
)

// TestReleasesOnlyUnchangedProgramPages: only pages that equal the program's file are
// released. Relocated constants would come back without their relocations.
func TestReleasesOnlyUnchangedProgramPages(t *testing.T) {
	const smaps = `00400000-00936000 r-xp 00000000 fe:00 9984265                            /usr/bin/conn tally
Rss:                4632 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00936000-00eef000 r--p 00536000 fe:00 9984265                            /usr/bin/conn tally
Anonymous:             0 kB
00eef000-00ef5000 r--p 00aef000 fe:00 9984265                            /usr/bin/conn tally
Anonymous:             4 kB
00ef5000-00f54000 rw-p 00aef000 fe:00 9984265                            /usr/bin/conn tally
Anonymous:             0 kB
00f54000-02f98000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 77                         /lib/usr/bin/conn tally
Anonymous:             0 kB
7ffd1000-7ffd2000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x936000}, {0x936000, 0xeef000}}
	if got := releasable(smaps, "/usr/bin/conn tally"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	releaseProgramPages() // must not crash the program
}
