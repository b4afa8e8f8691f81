package command

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// FirstSignal returns a context that the first SIGINT or SIGTERM ends, so that the program
// ends in order. A second one kills the program, whatever hangs: the signals then have their
// default action.
func FirstSignal() context.Context {
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
