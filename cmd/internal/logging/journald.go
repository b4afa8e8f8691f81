package logging

import (
	"fmt"
	"io"
	"strings"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// journald is a console encoder whose lines begin with their priority.
type journald struct{ zapcore.Encoder }

func newJournald() zapcore.Encoder {
	return journald{zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		MessageKey: "msg", ConsoleSeparator: "  ", LineEnding: zapcore.DefaultLineEnding,
		EncodeDuration: zapcore.StringDurationEncoder,
	})}
}

// Clone implements zapcore.Encoder.
func (j journald) Clone() zapcore.Encoder { return journald{j.Encoder.Clone()} }

// EncodeEntry implements zapcore.Encoder.
func (j journald) EncodeEntry(e zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	e.Message = priority(e.Level) + e.Message
	return j.Encoder.EncodeEntry(e, fields)
}

// Say writes text that is not part of the log. If the journal reads w, each line begins
// with its priority.
func Say(w io.Writer, level zapcore.Level, text string) {
	prefix := ""
	if journalReads(w) {
		prefix = priority(level)
	}
	fmt.Fprintln(w, prefix+strings.ReplaceAll(text, "\n", "\n"+prefix))
}

// priority returns the priority of syslog(3) as sd-daemon(3) writes it.
func priority(level zapcore.Level) string {
	switch {
	case level < zapcore.InfoLevel:
		return "<7>"
	case level < zapcore.WarnLevel:
		return "<6>"
	case level < zapcore.ErrorLevel:
		return "<4>"
	case level == zapcore.ErrorLevel:
		return "<3>"
	}
	return "<2>"
}
