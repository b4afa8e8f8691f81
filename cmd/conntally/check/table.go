package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/conntally/conntally/conntrack/kernel"
)

func tracking(f *Facts) Result {
	t := f.Tracking
	switch {
	case t == nil:
		return Result{}
	case t.Err != nil:
		return warn("", "can't tell whether connections are tracked: %v", t.Err)
	case t.On:
		return ok("connections are tracked")
	case f.Wanted.Track:
		return ok("no rule has connections tracked; conntally will (track = true)")
	case f.Entries > 0:
		return warn(kernel.TrackRule, "loopback isn't tracked, where that is tried out, and %s in the table: a rule exempts loopback, or none asks for tracking any more", connections(f.Entries))
	}
	return fail(kernel.TrackRule, "no rule has connections tracked: nothing can be exported")
}

// counters looks for entries that are older than nf_conntrack_acct=1. While it is
// off, new ones come all the time, and flushing mends nothing.
func counters(f *Facts) Result {
	c := f.Census
	switch {
	case c == nil:
		return Result{}
	case c.Err != nil:
		return fail("", "the table can't be read: %v", c.Err)
	case acct(f).Status != OK:
		return Result{}
	case c.Uncounted == 0:
		return ok("connections without counters: 0 of %d", c.Entries)
	}
	return warn("conntrack -F", "%d of %d connections are older than nf_conntrack_acct=1 and uncounted until they end. The command forgets all connections at once: some may break", c.Uncounted, c.Entries)
}

// offload looks for what a flowtable forwards past the counters.
func offload(f *Facts) Result {
	c := f.Census
	if c == nil || c.Err != nil {
		return Result{}
	}
	silent := slices.DeleteFunc(slices.Clone(c.Flowtables), func(t kernel.Flowtable) bool { return t.Counter })
	switch {
	case len(silent) > 0:
		return uncounting(silent)
	case c.Met > 0 && c.Moved == 0:
		return warn("", "%s offloaded, and no counter moved in %v: they rest, or the hardware doesn't count", connections(c.Offloaded), offloadWatch)
	case c.Offloaded > 0:
		return ok("%s offloaded, and counted", connections(c.Offloaded))
	}
	return ok("no connection is offloaded")
}

// uncounting is of flowtables that lack a counter.
func uncounting(tables []kernel.Flowtable) Result {
	var names, commands []string
	for _, t := range tables {
		names, commands = append(names, t.Table+" "+t.Name), append(commands, t.Command())
	}
	mend := strings.Join(commands, " && ")
	if slices.Contains(commands, "") {
		mend = ""
	}
	return fail(mend, "flowtable without counter, %s: what it forwards is not counted", strings.Join(names, ", "))
}

func connections(n int) string {
	if n == 1 {
		return "1 connection is"
	}
	return fmt.Sprintf("%d connections are", n)
}

// tableFull is what part of nf_conntrack_max, in percent, is too much.
const tableFull = 80

func table(f *Facts) Result {
	if f.Loaded != nil || f.Max <= 0 { // 0 is no limit
		return Result{}
	}
	if percent := f.Entries * 100 / f.Max; percent >= tableFull {
		return warn(fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*f.Max),
			"%d of %d connections, %d %%: a full table refuses new ones", f.Entries, f.Max, percent)
	}
	return ok("%d connections of %d at most", f.Entries, f.Max)
}

// eventCharge is what one DESTROY takes of the buffer that is in force, in bytes.
const eventCharge = 1280

func buffer(f *Facts) Result {
	b, want := f.Buffer, f.Wanted.ReceiveBuffer
	switch {
	case b == nil:
		return Result{}
	case b.Err != nil:
		return warn("", "can't tell how large a receive buffer may be: %v", b.Err)
	case b.Granted < want:
		return warn(fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want),
			"receive_buffer is %s, the kernel grants %s: %d ends at once, more are lost", size(want), size(b.Granted), 2*b.Granted/eventCharge)
	}
	return ok("the receive buffer may be %s: %d ends at once", size(want), 2*want/eventCharge)
}

func size(n int) string {
	for _, unit := range []struct {
		size int
		name string
	}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
