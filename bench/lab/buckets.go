package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// bucketsFile is the whole machine's, and may be written in its own network namespace
// only.
const bucketsFile = "/proc/sys/net/netfilter/nf_conntrack_buckets"

// Buckets returns the size of the kernel's hash table of connections.
func Buckets() (int, error) {
	b, err := os.ReadFile(bucketsFile)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// Resizable returns an error if Resize can't work here.
func Resizable() error {
	n, err := Buckets()
	if err != nil {
		return err
	}
	return writeBuckets(n)
}

// Resize gives the kernel's hash table n buckets, for all namespaces, and returns what
// undoes that.
func Resize(n int) (undo func() error, err error) {
	before, err := Buckets()
	if err != nil {
		return nil, err
	}
	if err := writeBuckets(n); err != nil {
		return nil, fmt.Errorf("%d buckets: %w", n, err)
	}
	return func() error { return writeBuckets(before) }, nil
}

func writeBuckets(n int) error { return os.WriteFile(bucketsFile, []byte(strconv.Itoa(n)), 0) }
