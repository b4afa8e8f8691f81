// Package snippet writes the part of a collector's configuration that depends on
// the router: its address, its port, its interfaces.
package snippet

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// Router is the router as a collector sees it.
type Router struct {
	Name       string     // its host name
	Address    netip.Addr // from which datagrams come
	Port       uint16     // to which they go
	Interfaces []Interface
}

// Interface is one that records may name.
type Interface struct {
	Index             uint32
	Name, Description string
	Speed             int // Mbit/s
	Uplink            bool
}

// kind is a known collector: how its snippet begins, and what it has for each interface.
type kind struct {
	name  string
	head  func(r *Router) string
	about func(i *Interface) string
}

func kinds() []kind {
	comment := func(mark string) func(i *Interface) string {
		return func(i *Interface) string {
			return fmt.Sprintf("%s %d is %s\n", mark, i.Index, quote(i.Name))
		}
	}
	return []kind{
		{"akvorado", akvorado, akvoradoInterface},
		{"goflow2", goflow2, comment("#  ")},
		{"nfdump", nfdump, comment("#  ")},
		{"pmacct", pmacct, comment("!")},
	}
}

// Kinds names the collectors that Write knows.
func Kinds() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Write writes the snippet for a kind of collector.
func Write(w io.Writer, name string, r *Router) error {
	for _, k := range kinds() {
		if k.name == name {
			text := k.head(r)
			for i := range r.Interfaces {
				text += k.about(&r.Interfaces[i])
			}
			_, err := io.WriteString(w, text)
			return err
		}
	}
	return fmt.Errorf("nothing is known of %q", name)
}

// quote returns any text as a scalar of YAML 1.2, which has JSON's double quotes.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// akvorado drops the flows of exporters without metadata, and asks for it by SNMP unless this
// has all of it. Name, description and speed are required.
func akvorado(r *Router) string {
	return fmt.Sprintf(`# Part of Akvorado's configuration (akvorado.yaml). It listens at %[1]d for flows.
# Set idle_timeout and active_timeout of conntally to 10s: Akvorado dates flows by
# their arrival.
inlet:
  flow:
    inputs:
      - type: udp
        decoder: netflow
        listen: :%[1]d
outlet:
  metadata:
    providers:
      - type: static
        exporters:
          %[2]s:
            name: %[3]s
            default:
              name: unknown
              description: unknown
              speed: 1000
            ifindexes:
`, r.Port, quote(r.Address.String()), quote(r.Name))
}

func akvoradoInterface(i *Interface) string {
	boundary := "internal"
	if i.Uplink {
		boundary = "external"
	}
	return fmt.Sprintf(`              %d:
                name: %s
                description: %s
                speed: %d
                boundary: %s
`, i.Index, quote(i.Name), quote(i.Description), i.Speed, boundary)
}

func goflow2(r *Router) string {
	return fmt.Sprintf(`# goflow2 learns all it needs from the datagrams. On the collector:
goflow2 -listen 'netflow://:%d' -format json
# Its flows carry this router as sampler_address %s, and ifIndexes:
`, r.Port, r.Address)
}

func nfdump(r *Router) string {
	family := ""
	if r.Address.Is6() {
		family = " -6" // or it binds IPv4 alone, and refuses these datagrams
	}
	return fmt.Sprintf(`# nfdump's collector learns all it needs from the datagrams. On the collector, unless
# its package has started one at that port, as Debian's does at 2055 (by IPv4):
nfcapd -D%s -p %d -w /var/cache/nfdump
# Then, say: nfdump -R /var/cache/nfdump -s srcip/bytes -n 10
# Its filters, such as 'in if 2', take ifIndexes:
`, family, r.Port)
}

func pmacct(r *Router) string {
	return fmt.Sprintf(`! nfacctd.conf: who sent how much to whom, by minute, as JSON. This router is %s.
nfacctd_port: %d
plugins: print[flows]
aggregate[flows]: peer_src_ip, src_host, dst_host, src_port, dst_port, proto, in_iface, out_iface, post_nat_src_host
print_history[flows]: 1m
print_history_roundoff[flows]: m
print_refresh_time[flows]: 60
print_output[flows]: json
print_output_file[flows]: /var/lib/pmacct/flows-%%Y%%m%%d-%%H%%M.json
`, r.Address, r.Port)
}
