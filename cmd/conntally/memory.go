package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// heapGrowth is by how many percent the heap may grow before what nobody needs is
	// collected. Connections, events and records leave nothing behind and the table
	// has no pointers, so collecting is rare, and takes a millisecond.
	heapGrowth = 25

	// A small heap may grow by a megabyte before. This often it is collected anyway,
	// and what is free is given back to the system.
	tidyInterval = time.Minute

	// cores is how many may work at a time. The probe does nearly all: with a second
	// one each wake-up wakes another thread, which finds no work. The runtime keeps
	// memory for each, too.
	cores = 1
)

// beThrifty keeps what the runtime takes of a small router's memory low, until ctx is
// done. The variables GOGC and GOMAXPROCS have their say.
func beThrifty(ctx context.Context, profiles bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores)
	}
	if !profiles {
		runtime.MemProfileRate = 0
	}
	go func() {
		for ctx.Err() == nil {
			debug.FreeOSMemory()
			select {
			case <-ctx.Done():
			case <-time.After(tidyInterval):
			}
		}
	}()
}
