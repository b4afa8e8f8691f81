package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/check"
)

// TestCheckUnreachable breaks the way to a collector for real, in all ways that end
// in an error.
func TestCheckUnreachable(t *testing.T) {
	r := newCheckedRig(t)
	const reject = "nft 'table inet t { chain c { type filter hook forward priority 0; udp dport " +
		"7777 reject with icmpx type admin-prohibited; }; }'"
	const drop = "nft 'table inet t { chain c { type filter hook output priority 0; udp dport " +
		"8888 drop; }; }'"
	for _, c := range []struct {
		from    *lab.Namespace
		damage  string
		address string
		more    string
		want    string
	}{
		{r.Router, "", "nosuch.invalid:2055", "", "the name can't be resolved"},
		{r.Server, "", "203.0.113.1:2055", "", "there is no route to it"},
		{r.Server, "", "[2001:db8:ffff::1]:2055", "", "there is no route to it"},
		{r.Router, "", "198.51.100.20:2055", "source = \"192.0.2.99\"",
			"its source is not an address of this machine"},
		{r.Router, "", "127.0.0.1:2055", "", "nothing listens there"},
		{r.Client, "", "198.51.100.20:2055", "", "nothing listens there"}, // through the NAT
		{r.Client, "", "[2001:db8:100::20]:2055", "protocol = \"netflow9\"",
			"nothing listens there"},
		{r.Router, "", "198.51.100.99:2055", "", "it is off"}, // no such neighbour
		{r.Router, "", "[2001:db8:100::99]:2055", "", "it is off"},
		{r.Client, "", "203.0.113.1:2055", "", "broken or blocked"}, // the router has no route
		{r.Client, "", "[2001:db8:ffff::1]:2055", "", "broken or blocked"},
		{r.Client, reject, "198.51.100.20:7777", "", "broken or blocked"},
		{r.Client, "", "[2001:db8:100::20]:7777", "", "a firewall on the path prohibits it"},
		{r.Client, drop, "198.51.100.20:8888", "", "a firewall rule of this machine prohibits it"},
	} {
		if c.damage != "" {
			in := c.from
			if c.damage == reject {
				in = r.Router
			}
			r.shell(in, c.damage)
		}
		path := r.config("[[collector]]\naddress = \"" + c.address + "\"\n" + c.more + "\n")
		got := r.check(c.from, "collector", "--config", path)
		r.want(got, check.Fail, c.want)
		if got.Fix != "" || !strings.HasPrefix(got.Text, c.address) {
			t.Errorf("%+v", got)
		}
	}
}

// TestCheckReachable runs check on a machine that lacks nothing, with collectors that listen.
// Everything is ok, except perhaps for the clock, which is the machine's.
func TestCheckReachable(t *testing.T) {
	r := newCheckedRig(t)
	path := r.config(`
[[collector]]
address = "198.51.100.20:9"
[[collector]]
address = "[2001:db8:100::20]:53"
protocol = "netflow9"
source = "2001:db8:100::1"
`)
	output, complaint,
		_ := r.run(r.Router, exec.Command(filepath.Join(r.bin, "conntally"), "check", "--config",
		path))
	for line := range strings.Lines(output.String()) {
		sound := strings.HasPrefix(line, "ok") || strings.Contains(line, "clock") ||
			strings.HasPrefix(line, "     ") || strings.Contains(line, "eady")
		if !sound || len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("%s", line)
		}
	}
	if strings.Count(output.String(), "no ICMP error was returned") != 2 || complaint.Len() > 0 {
		t.Errorf("%s%s", &output, &complaint)
	}
}

// TestCheckIsHarmless: the collectors that are probed complain of nothing, and
// still receive all that is exported afterwards.
func TestCheckIsHarmless(t *testing.T) {
	r := newCheckedRig(t)
	s := r.sink()
	collectors := []collector{
		r.nfcapd("netflow9", 2001), r.nfcapd("ipfix", 2002),
		r.goflow2("netflow9", 2003), r.goflow2("ipfix", 2004),
	}
	path := r.rig.config(s, collectors)
	for range 2 {
		results := r.checkAll(path)
		if n := strings.Count(results, "no ICMP error was returned"); n != len(collectors)+1 {
			t.Fatalf("%d of %d reached:\n%s", n, len(collectors)+1, results)
		}
	}
	p := r.probe("--config", path)
	for range 20 {
		err := r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 3, Size: 100,
			Answered: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.checkAll(path) // while it runs
	r.stop(p)
	want := tally{}
	records := fromDecode(s.all())
	for _, record := range records {
		want.add(record.key, record.packets, record.bytes)
	}
	if len(records) < 40 {
		t.Errorf("%d records", len(records))
	}
	for _, c := range collectors {
		got := tally{}
		for _, record := range c.read(len(records)) {
			got.add(record.key, record.packets, record.bytes)
		}
		for key, sum := range want {
			if got[key] != sum {
				t.Errorf("%s by %s: %v: %v, want %v", c.name, c.protocol, key, got[key], sum)
			}
		}
	}
}
