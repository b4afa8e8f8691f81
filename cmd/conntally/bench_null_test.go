package main

import (
	"encoding/binary"
	"errors"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The null reader reads as package conntrack does.
const (
	nullBuffer = 32 << 10 // of a dump
	nullBatch  = 64       // events per recvmmsg
	nullEvent  = 2 << 10  // bytes of one at most

	nullPatience = 5         // seconds
	burstBuffer  = 128 << 20 // of the socket: takes a burst whole

	nlHeader = 16 // struct nlmsghdr
	nfHeader = 4  // struct nfgenmsg

	groupDestroy = 3 // NFNLGRP_CONNTRACK_DESTROY
	ctGet        = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
)

// nullReader reads conntrack and discards it: its cost is that of the kernel.
type nullReader struct {
	fd      int
	buffer  []byte
	headers []nullHeader
	iovecs  []unix.Iovec
}

// nullHeader is struct mmsghdr of recvmmsg(2).
type nullHeader struct {
	header unix.Msghdr
	length uint32
}

func (f *filled) null(b *testing.B) *nullReader {
	b.Helper()
	n := &nullReader{
		buffer: make([]byte, nullBatch*nullEvent), headers: make([]nullHeader, nullBatch),
		iovecs: make([]unix.Iovec, nullBatch),
	}
	for i := range n.headers {
		n.iovecs[i].Base = &n.buffer[i*nullEvent]
		n.iovecs[i].SetLen(nullEvent)
		n.headers[i].header.Iov = &n.iovecs[i]
		n.headers[i].header.SetIovlen(1)
	}
	must(b, f.Do(func() (err error) {
		n.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC,
			unix.NETLINK_NETFILTER)
		return err
	}))
	must(b, unix.Bind(n.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	must(b, unix.SetsockoptTimeval(n.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO,
		&unix.Timeval{Sec: nullPatience}))
	return n
}

func (n *nullReader) close() { unix.Close(n.fd) }

// subscribe joins the group that ctnetlink.Open joins.
func (n *nullReader) subscribe() error {
	return errors.Join(
		unix.SetsockoptInt(n.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, burstBuffer),
		unix.SetsockoptInt(n.fd, unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1),
		unix.SetsockoptInt(n.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, groupDestroy),
	)
}

// dump reads all entries.
func (n *nullReader) dump() error {
	if err := n.request(); err != nil {
		return err
	}
	for {
		size, err := unix.Read(n.fd, n.buffer[:nullBuffer])
		if err != nil {
			return err
		}
		// The kernel sends the end by itself.
		if size >= nlHeader && binary.NativeEndian.Uint16(n.buffer[4:]) == unix.NLMSG_DONE {
			return nil
		}
	}
}

// request asks for a dump of both families.
func (n *nullReader) request() error {
	var b [nlHeader + nfHeader]byte
	binary.NativeEndian.PutUint32(b[:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], ctGet)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	_, err := unix.Write(n.fd, b[:])
	return err
}

// drain reads events until there are no more, and returns how many there were.
func (n *nullReader) drain() (events int) {
	for {
		got, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(n.fd),
			uintptr(unsafe.Pointer(&n.headers[0])), nullBatch, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			return events
		}
		events += int(got)
	}
}
