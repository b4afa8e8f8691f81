package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/conntally/conntally/conntrack"
)

// bucketsFile is the whole machine's, and may be written outside of namespaces only.
const bucketsFile = "/proc/sys/net/netfilter/nf_conntrack_buckets"

// resizable tells why the kernel's hash table can't be resized here.
func resizable() error {
	f, err := os.OpenFile(bucketsFile, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// resize gives the kernel's hash table n buckets, and returns what undoes that.
func resize(n int) (undo func() error, err error) {
	before, err := conntrack.ReadSysctl("buckets")
	if err != nil {
		return nil, err
	}
	if err := writeBuckets(n); err != nil {
		return nil, fmt.Errorf("%d buckets: %w", n, err)
	}
	return func() error { return writeBuckets(before) }, nil
}

func writeBuckets(n int) error { return os.WriteFile(bucketsFile, []byte(strconv.Itoa(n)), 0) }
