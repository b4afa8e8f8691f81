package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// firstSignal returns a context that the first SIGINT or SIGTERM ends, so that the program
// ends in order. A second one kills the program, whatever hangs: the signals then have their
// default action.
func firstSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		signal.Stop(signals)
		select {
		case second := <-signals: // it came before Stop
			_ = syscall.Kill(os.Getpid(), second.(syscall.Signal))
		default:
		}
	}()
	return ctx
}

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
