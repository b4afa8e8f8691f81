// Package show prints for people what the control socket answers.
//
//	control.Devices -> a table of names, sizes and times
package show

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Page is the output, and how wide and colourful it is.
type Page struct {
	Out     io.Writer
	Columns int  // of the terminal; 0: lines are as long as they are
	Colour  bool // escape sequences are welcome
	Now     time.Time
}

// Status prints what the service does, its collectors, and what is wrong.
func (p Page) Status(s *control.Status) error {
	fmt.Fprintf(p.Out, "conntally %s: up %s, reading %s every %s\n%s, %s\n\n",
		text.Clean(s.Version), text.Duration(seconds(s.Uptime)), source(s),
		text.Duration(seconds(s.PollInterval)), Plural(s.Connections, "connection"),
		Plural(s.Devices, "device"))
	t := &text.Table{Columns: []text.Column{
		{Head: "COLLECTOR", Flexible: true}, {Head: "PROTOCOL"}, {Head: "RECORDS", Right: true},
		{Head: "DROPPED", Right: true}, {Head: "ERROR", Flexible: true},
	}}
	for _, c := range s.Collectors {
		t.Add(c.Address, c.Protocol, strconv.FormatUint(c.Records, 10),
			strconv.FormatUint(c.Dropped, 10), c.Error)
	}
	if len(s.Collectors) > 0 {
		if err := t.Print(p.Out, p.Columns); err != nil {
			return err
		}
		fmt.Fprintln(p.Out)
	}
	return p.conditions(s.Conditions)
}

// source returns how connections are read.
func source(s *control.Status) string {
	if s.SourceStep == "" {
		return text.Clean(s.Source)
	}
	how := text.Clean(s.Source) + " (" + text.Clean(s.SourceStep) + ")"
	if s.Dumps != s.Source {
		how += ", living ones by " + text.Clean(s.Dumps)
	}
	return how
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Plural returns a number of things.
func Plural(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return strconv.Itoa(n) + " " + of
}

// ECMA-48 SGR.
const (
	red      = "\x1b[31m"
	yellow   = "\x1b[33m"
	green    = "\x1b[32m"
	unstyled = "\x1b[0m"
)

func (p Page) coloured(s, colour string) string {
	if !p.Colour {
		return s
	}
	return colour + s + unstyled
}

// conditions prints the conditions that hold, each with its fix.
func (p Page) conditions(list []condition.Condition) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(p.Out, p.coloured("ok", green)+"       nothing is known to be wrong")
		return err
	}
	const indent = 9
	for i := range list {
		c := &list[i]
		colour := yellow
		if c.Severity == condition.Failing {
			colour = red
		}
		severity := p.coloured(text.Pad(string(c.Severity), indent-2, false), colour)
		fmt.Fprintf(p.Out, "%s  %s\n", severity, p.wrapped(c.String(), indent))
		if fix := c.Fix; fix != "" { // never wrapped, so that it can be copied
			fmt.Fprintf(p.Out, "    fix: %s\n", text.Clean(fix))
		} else if c.Advice != "" {
			fmt.Fprintf(p.Out, "%*s%s\n", indent, "", p.wrapped(c.Advice, indent))
		}
	}
	_, err := fmt.Fprintln(p.Out, Plural(len(list), "condition"))
	return err
}

// wrapped breaks s into lines that begin in a column.
func (p Page) wrapped(s string, indent int) string {
	if p.Columns <= 0 {
		return text.Clean(s)
	}
	lines := text.Wrap(s, max(p.Columns-indent, 20))
	return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
}

// Devices prints a row for each device.
func (p Page) Devices(d *control.Devices) error {
	t := &text.Table{Columns: []text.Column{
		{Head: "NAME", Flexible: true}, {Head: "ADDRESS"}, {Head: "UP", Right: true, Least: 8},
		{Head: "DOWN", Right: true, Least: 8}, {Head: "LAN", Right: true, Least: 8, Optional: 1},
		{Head: "CONN", Right: true}, {Head: "SEEN", Right: true, Least: 4},
		{Head: "MAC", Optional: 2}, {Head: "VENDOR", Flexible: true, Optional: 3},
	}}
	for i := range d.Devices {
		d := &d.Devices[i]
		t.Add(d.Label(), Address(d), text.Bytes(d.WAN.UpBytes), text.Bytes(d.WAN.DownBytes),
			text.Bytes(d.LAN.UpBytes+d.LAN.DownBytes), strconv.Itoa(d.Connections), p.seen(d),
			orDash(d.MAC), orDash(d.Vendor))
	}
	return t.Print(p.Out, p.Columns)
}

// Address returns one of a device's addresses: IPv4, if it has any; "-" if it has none.
func Address(d *control.Device) string {
	for _, a := range d.Addresses {
		if !strings.Contains(a, ":") {
			return a
		}
	}
	if len(d.Addresses) > 0 {
		return d.Addresses[0]
	}
	return "-"
}

// seen returns when a device was last seen: now, or how long ago.
func (p Page) seen(d *control.Device) string {
	switch {
	case d.Online:
		return "now"
	case d.LastSeen.IsZero():
		return "-"
	}
	return text.Duration(p.Now.Sub(d.LastSeen))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Flows prints a row for each connection.
func (p Page) Flows(f *control.Flows) error {
	t := &text.Table{Columns: []text.Column{
		{Head: "DEVICE", Flexible: true}, {Head: "PROTO"}, {Head: ""},
		{Head: "OTHER END", Flexible: true, Comfort: 18, Middle: true},
		{Head: "UP", Right: true, Least: 8}, {Head: "DOWN", Right: true, Least: 8},
		{Head: "RATE", Right: true, Least: 11, Optional: 1},
		{Head: "AGE", Right: true, Optional: 2}, {Head: "INTERFACES", Optional: 3},
		{Head: "STATE", Optional: 4},
	}}
	for i := range f.Flows {
		f := &f.Flows[i]
		t.Add(FlowDevice(f), f.Protocol, Arrow(f), Endpoint(f.Remote()), text.Bytes(f.UpBytes),
			text.Bytes(f.DownBytes), text.BitRate(f.UpBitsPerSecond+f.DownBitsPerSecond),
			p.age(f), Interfaces(f), orDash(f.State))
	}
	if err := t.Print(p.Out, p.Columns); err != nil || f.Omitted == 0 {
		return err
	}
	_, err := fmt.Fprintf(p.Out, "%d more are not shown; see --limit\n", f.Omitted)
	return err
}

// FlowDevice names the device of a flow: by its name, or else by its address.
func FlowDevice(f *control.Flow) string {
	switch {
	case f.Name != "":
		return f.Name
	case f.Inbound:
		return f.Dst
	}
	return f.Src
}

// Arrow points from who opened the connection to the other end: the device is on the left.
func Arrow(f *control.Flow) string {
	if f.Inbound {
		return "<"
	}
	return ">"
}

// Endpoint returns an address and a port, such as "[2001:db8::1]:443"; port 0 is none.
func Endpoint(address string, port uint16) string {
	if port == 0 {
		return address
	}
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}

func (p Page) age(f *control.Flow) string {
	if f.Start.IsZero() {
		return "-"
	}
	return text.Duration(p.Now.Sub(f.Start))
}

// Interfaces returns those that a flow passes; "-" is the router itself, or unknown.
func Interfaces(f *control.Flow) string {
	if f.Input == "" && f.Output == "" {
		return "-"
	}
	return orDash(f.Input) + " > " + orDash(f.Output)
}
