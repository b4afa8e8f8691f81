package main

import (
	"context"
	"os"
)

// hangups turns each SIGHUP into a request to reload, until ctx is done. If an interactive
// program has lost its terminal, SIGHUP ends it instead.
func hangups(
	ctx context.Context, signals <-chan os.Signal, interactive bool,
	reloads chan<- struct{}, end func(),
) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		if interactive && !hasTerminal() {
			end()
			return
		}
		select {
		case <-ctx.Done():
			return
		case reloads <- struct{}{}:
		}
	}
}

// hasTerminal reports whether the process has a controlling terminal, tty(4).
func hasTerminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	f.Close()
	return true
}
