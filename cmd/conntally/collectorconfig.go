package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/snippet"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/suggest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow/route"
)

// runCollectorConfig is `conntally collector-config`.
func runCollectorConfig(ctx context.Context, args []string, stdout, _ io.Writer) error {
	about := "print what a collector's configuration needs; KIND is " +
		strings.Join(snippet.Kinds(), ", ")
	fs := newFlags("collector-config", about, stdout)
	file := fs.String("config", "", "take the first collector of this TOML `FILE`")
	var address config.Address
	fs.Func("collector", "the collector is at `HOST:PORT`", func(s string) error {
		return address.UnmarshalText([]byte(s))
	})
	kind := ""
	fs.Take("KIND", &kind)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if !slices.Contains(snippet.Kinds(), kind) {
		return unknownKind(kind)
	}
	collector, err := selectCollector(*file, address)
	if err != nil {
		return err
	}
	r := snippet.Router{Name: "router"}
	if name, err := os.Hostname(); err == nil {
		r.Name = name
	}
	if r.Address, r.Port, err = endpoints(ctx, collector); err != nil {
		return err
	}
	if r.Interfaces, err = routerInterfaces(); err != nil {
		return err
	}
	return snippet.Write(stdout, kind, &r)
}

// unknownKind returns the error of a KIND that there is not, or of none.
func unknownKind(kind string) error {
	kinds := strings.Join(snippet.Kinds(), ", ")
	if kind == "" {
		return command.UsageError("collector-config: which KIND of collector? %s", kinds)
	}
	if meant := suggest.Closest(kind, snippet.Kinds()); meant != "" {
		return command.UsageError("collector-config %q: did you mean %s?", kind, meant)
	}
	return command.UsageError("collector-config %q: want %s", kind, kinds)
}

// selectCollector returns the collector at address, or the first one of the file.
func selectCollector(file string, address config.Address) (config.Collector, error) {
	c := config.Default()
	if file != "" {
		if err := c.Read(file); err != nil {
			return config.Collector{}, command.UsageError("%w", err)
		}
	}
	switch {
	case address != "":
		return config.NewCollector(string(address)), nil
	case len(c.Collectors) > 0:
		return c.Collectors[0], nil
	}
	return config.Collector{}, command.UsageError(
		"collector-config: which collector? Use --collector HOST:PORT or --config FILE")
}

// endpoints returns the source address of datagrams to a collector, and the collector's
// port.
func endpoints(
	ctx context.Context, to config.Collector,
) (from netip.Addr, port uint16, err error) {
	collector := export.CollectorConfig{
		Address: string(to.Address), Interface: string(to.Interface), VRF: string(to.VRF),
	}
	conn, err := collector.Dial(ctx)
	if err != nil {
		return from, 0, fmt.Errorf("collector-config: %w", err)
	}
	defer conn.Close()
	from = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	if to.Source.IsValid() {
		from = to.Source.Addr
	}
	return from.Unmap().WithZone(""), conn.RemoteAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// routerInterfaces returns this router's interfaces.
func routerInterfaces() (all []snippet.Interface, err error) {
	routes, err := route.Open(route.Options{Clock: conntrack.SystemClock()})
	if err != nil {
		return nil, err
	}
	defer routes.Close()
	interfaces, _ := routes.Interfaces()
	for _, i := range interfaces {
		all = append(all, snippet.Interface{
			Index: i.Index, Name: i.Name, Description: i.Description,
			Speed: speed(i.Name), Uplink: routes.Uplink(i.Index),
		})
	}
	return all, nil
}

// speed returns an interface's speed in Mbit/s, or 1000 if it is unknown.
func speed(name string) int {
	const unknown = 1000
	b, err := os.ReadFile("/sys/class/net/" + name + "/speed")
	if err != nil {
		return unknown
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n <= 0 {
		return unknown
	}
	return n
}
