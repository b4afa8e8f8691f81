package store

import (
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func TestMergedDevicesAreOneInAllTables(t *testing.T) {
	s := openNew(t)
	for _, device := range []string{"192.0.2.7", "02:00:00:00:00:01", "bystander"} {
		for _, days := range []int{-2000, -100, -2, 0} { // by month, by day, destinations, hours
			at := noon().AddDate(0, 0, days)
			write(t, s, batchAt(s, at, device, 10))
			prune(t, s, at)
		}
		write(t, s, batchAt(s, noon(), device, 5))
	}
	write(t, s, batchAt(s, noon().AddDate(0, 0, -3), "192.0.2.7", 2)) // which Into does not have
	prune(t, s, noon())
	all := Span{From: noon().AddDate(-10, 0, 0), To: noon().AddDate(1, 0, 0)}
	before := devicesOf(t, s, all)
	want := before["192.0.2.7"]
	want.Add(before["02:00:00:00:00:01"])

	write(t, s, &usage.Batch{At: noon(), Merges: []usage.Merge{
		{From: "192.0.2.7", Into: "02:00:00:00:00:01"},
		{From: "never seen", Into: "bystander"}, {From: "bystander", Into: "bystander"}}})

	after := devicesOf(t, s, all)
	if len(after) != 2 || after["02:00:00:00:00:01"] != want ||
		after["bystander"] != before["bystander"] {
		t.Errorf("%v\nnot\n%v", after, before)
	}
	if _, found, err := s.Reader().Lookup(t.Context(), "192.0.2.7"); found || err != nil {
		t.Error("found what is no more", err)
	}
	rows, err := s.Reader().Destinations(t.Context(), Span{From: noon().AddDate(0, 0, -10),
		To: noon().AddDate(0, 0, 1), Device: "02:00:00:00:00:01"})
	if err != nil {
		t.Fatal(err)
	}
	var u usage.Usage
	for _, row := range rows {
		u.Add(row.Usage)
	}
	if u.WAN.UpBytes != 2*(10+15)+2 {
		t.Error("destinations", u)
	}
	prune(t, s, noon().AddDate(0, 0, 1))
	if got := devicesOf(t, s, all); got["02:00:00:00:00:01"] != want {
		t.Error(got)
	}
}

func TestAMergedDeviceWasLastSeenWhenEitherWas(t *testing.T) {
	s := openNew(t)
	for device, minute := range map[string]time.Duration{"a": 10, "b": 20, "c": 30} {
		write(t, s, batchAt(s, noon(), device, 1),
			batchAt(s, noon().Add(minute*time.Minute), device, 1))
	}
	write(t, s, &usage.Batch{At: noon(), Merges: []usage.Merge{
		{From: "a", Into: "b"}, {From: "c", Into: "b"}}})
	if got := lastSeen(t, s, "b"); !got.Equal(noon().Add(30 * time.Minute)) {
		t.Error(got)
	}
}

func TestADeviceMergedIntoANewOneKeepsItsHistory(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "192.0.2.7", 10))
	b := batchAt(s, noon(), "02:00:00:00:00:01", 5)
	b.Merges = []usage.Merge{{From: "192.0.2.7", Into: "02:00:00:00:00:01"}}
	write(t, s, b)
	got := devicesOf(t, s, day(s, noon()))
	if len(got) != 1 || got["02:00:00:00:00:01"].WAN.UpBytes != 15 {
		t.Error(got)
	}
}

func TestARenamedDeviceKeepsItsHistory(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 10))
	b := batchAt(s, noon(), "a", 5)
	b.Devices[0].Name = "another name"
	write(t, s, b)
	rows, err := s.Reader().Devices(t.Context(), day(s, noon()))
	if err != nil || len(rows) != 1 || rows[0].Name != "another name" ||
		rows[0].WAN.UpBytes != 15 {
		t.Error(rows, err)
	}
}

func TestADeviceIsFoundByAllItsNames(t *testing.T) {
	s := openNew(t)
	write(t, s, &usage.Batch{At: noon(), Devices: []usage.Device{
		{ID: "02:00:00:00:00:01", Name: "TV", MAC: "02:00:00:00:00:01",
			Addresses: addrs("192.0.2.1", "2001:db8::1"), First: noon(), Last: noon()},
		{ID: "phone", Name: "192.0.2.1", Addresses: addrs("192.0.2.2"), First: noon(), Last: noon()},
	}})
	for text, want := range map[string]string{"02:00:00:00:00:01": "02:00:00:00:00:01",
		"tv": "02:00:00:00:00:01", "2001:DB8:0::1": "02:00:00:00:00:01", "phone": "phone",
		"192.0.2.1": "phone", "192.0.2.2": "phone", "": "", "192.0.2.3": ""} {
		d, found, err := s.Reader().Lookup(t.Context(), text)
		if err != nil || found != (want != "") || found && d.ID != want {
			t.Errorf("%q: %q, %v", text, d.ID, err)
		}
	}
	d, _, _ := s.Reader().Lookup(t.Context(), "tv")
	if !slices.Equal(d.Addresses, addrs("192.0.2.1", "2001:db8::1")) || !d.First.Equal(noon()) {
		t.Errorf("%+v", d)
	}
}
