package snippet

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func router(names ...string) *Router {
	r := &Router{Name: "home", Address: netip.MustParseAddr("2001:db8::1"), Port: 2055}
	for i, name := range names {
		r.Interfaces = append(r.Interfaces, Interface{
			Index: uint32(i + 1), Name: name, Description: name +
				" 192.0.2.1/24", Speed: 1000 * (i + 1), Uplink: i == 0,
		})
	}
	return r
}

// TestAkvoradoHasAllItRequires reads what Akvorado would: all that it requires is there, whatever
// the interfaces are called.
func TestAkvoradoHasAllItRequires(t *testing.T) {
	names := []string{"wan0", "br-lan", `a"b\c`, "yes", "#1: {", "ünï%s", "\x01\t"}
	var b bytes.Buffer
	if err := Write(&b, "akvorado", router(names...)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Inlet struct {
			Flow struct{ Inputs []struct{ Listen string } }
		}
		Outlet struct {
			Metadata struct {
				Providers []struct {
					Type      string
					Exporters map[string]struct {
						Name      string
						Ifindexes map[int]struct {
							Name, Description, Boundary string
							Speed                       int
						}
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v:\n%s", err, &b)
	}
	if in := got.Inlet.Flow.Inputs; len(in) != 1 || in[0].Listen != ":2055" {
		t.Errorf("inputs: %+v", in)
	}
	exporter, ok := got.Outlet.Metadata.Providers[0].Exporters["2001:db8::1"]
	if !ok || exporter.Name != "home" || len(exporter.Ifindexes) != len(names) {
		t.Fatalf("got %+v", got)
	}
	for i, name := range names {
		is, boundary := exporter.Ifindexes[i+1], "internal"
		if i == 0 {
			boundary = "external"
		}
		if is.Name != name || is.Description != name+" 192.0.2.1/24" || is.Speed != 1000*(i+1) ||
			is.Boundary != boundary {
			t.Errorf("interface %d is %+v", i+1, is)
		}
	}
}

// TestNfcapdListensWhereDatagramsGo: without -6 it binds IPv4 alone. The other collectors
// bind both.
func TestNfcapdListensWhereDatagramsGo(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1":   "\nnfcapd -D -p 2055 -w ",
		"2001:db8::1": "\nnfcapd -D -6 -p 2055 -w ",
	} {
		var b bytes.Buffer
		r := router()
		r.Address = netip.MustParseAddr(from)
		if err := Write(&b, "nfdump", r); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("from %s: no %q in\n%s", from, want, &b)
		}
	}
}

// TestNamesStayInComments: no name ends the comment that it is in.
func TestNamesStayInComments(t *testing.T) {
	for _, kind := range Kinds() {
		var plain, hostile bytes.Buffer
		if err := Write(&plain, kind, router("wan0", "lan0")); err != nil {
			t.Fatal(err)
		}
		if err := Write(&hostile, kind, router("wan0\nx", "`reboot`\r")); err != nil {
			t.Fatal(err)
		}
		a, b := strings.Count(plain.String(), "\n"), strings.Count(hostile.String(), "\n")
		if a != b {
			t.Errorf("%s: %d lines, with other names %d", kind, a, b)
		}
		if !strings.Contains(plain.String(), "2055") ||
			!strings.Contains(plain.String(), "2001:db8::1") && kind != "nfdump" {
			t.Errorf("%s lacks port or address:\n%s", kind, &plain)
		}
	}
	if err := Write(new(bytes.Buffer), "elastic", new(Router)); err == nil {
		t.Error("writes for anything")
	}
}
