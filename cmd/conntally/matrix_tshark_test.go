package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"testing"
)

// pdmlField is a field of tshark's packet details, with the fields in it.
type pdmlField struct {
	Name   string      `xml:"name,attr"`
	Show   string      `xml:"show,attr"`
	Value  string      `xml:"value,attr"`
	Protos []pdmlField `xml:"proto"`
	Fields []pdmlField `xml:"field"`
}

// pdmlRecords finds the data records of packet details, by the port that they were sent to: what
// has an octet count of its own.
func pdmlRecords(t *testing.T, details []byte) map[string][]shown {
	t.Helper()
	all := map[string][]shown{}
	var document struct {
		Packets []pdmlField `xml:"packet"`
	}
	if err := xml.NewDecoder(bytes.NewReader(details)).Decode(&document); err != nil {
		t.Fatal(err)
	}
	for i := range document.Packets {
		packet, port := &document.Packets[i], ""
		packet.each(func(own map[string]pdmlField) {
			if to, ok := own["udp.dstport"]; ok {
				port = to.Show
			}
			if own["cflow.octets"].Show != "" { // a template names it, too
				all[port] = append(all[port], tsharkView(own, packet.boot()))
			}
		})
	}
	return all
}

// each hands fn the fields that stand in a field, those of their groups included, for
// the field and all in it.
func (f *pdmlField) each(fn func(own map[string]pdmlField)) {
	own := map[string]pdmlField{}
	for _, field := range f.Fields {
		own[field.Name] = field
		if field.Name == "" { // a record, or a set of them
			continue
		}
		for _, inner := range field.Fields { // such as times in a duration
			own[inner.Name] = inner
		}
	}
	fn(own)
	for _, inside := range [][]pdmlField{f.Protos, f.Fields} {
		for i := range inside {
			inside[i].each(fn)
		}
	}
}

// boot is when the exporter of a v9 packet booted, in ms since 1970.
func (f *pdmlField) boot() (ms uint64) {
	f.each(func(own map[string]pdmlField) {
		if up, ok := own["cflow.sysuptime"]; ok {
			ms = own["cflow.unix_secs"].number()*1000 - up.number()
		}
	})
	return ms
}

// number parses a value's octets; if they are no number, it returns a large one.
func (f pdmlField) number() uint64 {
	n, err := strconv.ParseUint(f.Value, 16, 64)
	if err != nil {
		return 1 << 63
	}
	return n
}

// tsharkView takes boot for the times of v9, which are uptimes.
func tsharkView(own map[string]pdmlField, boot uint64) shown {
	s := shown{}
	for field, name := range map[string]string{
		"protocol": "proto", "srcaddr": "src", "srcaddrv6": "src", "dstaddr": "dst",
		"dstaddrv6": "dst",
		"srcport":   "sport", "dstport": "dport", "packets": "packets", "octets": "bytes",
		"inputint": "in", "outputint": "out",
		"icmp_ipv6_type": "type", "icmp_ipv6_code": "code",
		"post_natsource_ipv4_address": "psrc", "post_nat_source_ipv6_address": "psrc",
		"post_natdestination_ipv4_address": "pdst", "post_nat_destination_ipv6_address": "pdst",
		"post_naptsource_transport_port": "psport", "post_naptdestination_transport_port": "pdport",
	} {
		if f, ok := own["cflow."+field]; ok {
			s[name] = f.Show
		}
	}
	for field, name := range map[string]string{"tcpflags": "flags", "direction": "dir",
		"flow_end_reason": "reason"} {
		s[name] = fmt.Sprint(own["cflow."+field].number())
	}
	if typeCode, ok := own["cflow.icmp_type_code_ipv4"]; ok { // by v9 for both IP versions
		s["type"], s["code"] = fmt.Sprint(typeCode.number()>>8), fmt.Sprint(typeCode.number()&0xff)
	}
	for name, field := range map[string]string{"start": "timestart", "end": "timeend"} {
		if at, ok := own["cflow.abs"+field]; ok {
			s[name] = fmt.Sprint(at.number())
		} else {
			s[name] = fmt.Sprint(boot + own["cflow."+field].number())
		}
	}
	return s.tidy()
}
