package route

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestBroadcastAddressesFollowAddresses: those of the router's networks, as they come and go.
func TestBroadcastAddressesFollowAddresses(t *testing.T) {
	const lan, wan = "192.168.77.255", "198.51.100.255"
	k := smallKernel()
	r := k.open(t, Options{})
	check := func(address string, want bool) {
		t.Helper()
		if a := addr(address); r.Broadcast(&a) != want {
			t.Errorf("%s is a broadcast address: %t", address, !want)
		}
	}
	check(wan, true)
	check(lan, false)
	check("198.51.100.1", false)
	version := r.Version()
	k.events <- addressMessage(unix.RTM_NEWADDR, 3, "192.168.77.1")
	version = newer(t, r, version)
	check(lan, true)
	k.events <- addressMessage(unix.RTM_DELADDR, 3, "192.168.77.1")
	newer(t, r, version)
	check(lan, false)
}

// TestKernelAgreesAboutBroadcastAddresses: of networks of all sizes, with peers, and with another
// address than that which follows from the network.
func TestKernelAgreesAboutBroadcastAddresses(t *testing.T) {
	r := newRouter(t, `
address add 10.1.0.1/30 dev lan0
address add 10.2.0.1/31 dev lan0
address add 10.3.0.1/32 dev lan0
address add 10.4.1.1/22 dev lan0
address add 10.5.0.1/24 broadcast 10.5.0.99 dev lan0
address add 10.6.0.1 peer 10.7.0.2/24 dev lan0
address add 10.8.0.1/25 dev lan0
address add 10.8.0.2/25 dev lan0
`, Options{})
	var s *socket
	if err := r.Do(func() (err error) { s, err = openSocket(0); return err }); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	kernel, found := newFIB(s, nil), 0
	for _, address := range []string{
		"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.7", "10.2.0.0", "10.2.0.1", "10.3.0.1",
		"10.4.0.255", "10.4.1.255", "10.4.3.254", "10.4.3.255", "10.5.0.99", "10.5.0.255",
		"10.6.0.1", "10.6.0.255", "10.7.0.2", "10.7.0.255", "10.8.0.127", "10.8.0.255",
		"192.168.77.255", "198.51.100.255", "203.0.113.255", "203.0.113.9", "2001:db8:77::ffff",
	} {
		to := addr(address)
		kind, _, err := kernel.lookUp(&query{to: &to})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.resolver.Broadcast(&to), kind == group; got != want {
			t.Errorf("%s is a broadcast address: %t, says the kernel %t", address, got, want)
		}
		if kind == group {
			found++
		}
	}
	if found < 9 {
		t.Errorf("the kernel has %d broadcast addresses", found)
	}
}
