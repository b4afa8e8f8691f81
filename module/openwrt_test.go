package module

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/config"
)

// openwrt runs the functions of OpenWrt's init script by the shell that OpenWrt has, with the
// program itself. What they call of OpenWrt is testdata/openwrt/functions.sh.
type openwrt struct {
	t            *testing.T
	busybox, dir string
	program      string
}

// TestOpenWrt has a part for each thing that the script is to do, with one program for all.
func TestOpenWrt(t *testing.T) {
	busybox, program := labtest.Program(t, "busybox"), labtest.Build(t, "conntally")
	for name, part := range map[string]func(*openwrt){
		"options are the keys": (*openwrt).optionsAreTheKeys,
		"starts":               (*openwrt).starts,
		"refuses":              (*openwrt).refuses,
		"reloads":              (*openwrt).reloads,
		"is off at first":      (*openwrt).isOffAtFirst,
		"is turned off":        (*openwrt).isTurnedOff,
		"takes another file":   (*openwrt).takesAnotherFile,
	} {
		t.Run(name, func(t *testing.T) { part(&openwrt{t, busybox, t.TempDir(), program}) })
	}
}

func (o *openwrt) generated() string { return filepath.Join(o.dir, "etc/conntally.toml") }

// calls calls a function of the script, with the text of /etc/config/conntally, and returns its
// exit status and what it told procd.
func (o *openwrt) calls(function, uci string) (ok bool, said []string) {
	o.t.Helper()
	loaded := filepath.Join(o.dir, "conntally")
	if err := os.WriteFile(loaded, uciVariables(o.t, uci), 0o600); err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command(o.busybox, "ash", "-c", fmt.Sprintf(`. testdata/openwrt/functions.sh
. openwrt/files/conntally.init
PROG=%s GENERATED=%s STATE=%s/state RUN=%[3]s/run
%s`, o.program, o.generated(), o.dir, function))
	cmd.Env = append(os.Environ(), "UCI="+o.dir)
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	o.t.Logf("%s: %v\n%s%s", function, err, out, &faults)
	return err == nil, strings.Split(strings.TrimSpace(string(out)), "\n")
}

// read is the configuration that was generated.
func (o *openwrt) read() *config.Config {
	o.t.Helper()
	return readConfig(o.t, o.generated())
}

func readConfig(t *testing.T, path string) *config.Config {
	t.Helper()
	c := config.Default()
	if err := c.Read(path); err != nil {
		t.Fatal(err)
	}
	return c
}

// uciVariables turns a file of /etc/config into the variables that config_load makes of it.
func uciVariables(t *testing.T, text string) []byte {
	t.Helper()
	var sections, variables []string
	section, lists := "", map[string]int{}
	set := func(option, value string) {
		variables = append(variables, fmt.Sprintf("CONFIG_%s_%s='%s'", section, option,
			strings.ReplaceAll(value, "'", `'\''`)))
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		kind, rest, _ := strings.Cut(line, " ")
		name, value, _ := strings.Cut(rest, " ")
		value = unquoted(value)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case kind == "config":
			section = value
			if section == "" {
				section = fmt.Sprintf("cfg%02d", len(sections))
			}
			sections = append(sections, section)
			set("TYPE", name)
		case kind == "option":
			set(name, value)
		case kind == "list":
			lists[section+name]++
			set(fmt.Sprintf("%s_ITEM%d", name, lists[section+name]), value)
			set(name+"_LENGTH", fmt.Sprint(lists[section+name]))
		default:
			t.Fatalf("not UCI: %s", line)
		}
	}
	return []byte(fmt.Sprintf("CONFIG_SECTIONS='%s'\n%s\n", strings.Join(sections, " "),
		strings.Join(variables, "\n")))
}

func unquoted(value string) string {
	for _, quote := range []string{"'", `"`} {
		if inner, ok := strings.CutPrefix(value, quote); ok {
			return strings.TrimSuffix(inner, quote)
		}
	}
	return value
}

// shipped is the configuration of the package, turned on.
func shipped(t *testing.T) string {
	t.Helper()
	text := read(t, "openwrt/files/conntally.config")
	return strings.Replace(text, "enabled '0'", "enabled '1'", 1)
}

// withExamples is the same with what is commented out there, but for the other file.
func withExamples(t *testing.T) string {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#option config_file.*\n`).ReplaceAllString(shipped(t), "")
	return regexp.MustCompile(`(?m)^(\s*)#(\s*(?:config|option|list) )`).ReplaceAllString(text, "$1$2")
}

// optionsAreTheKeys: each key of the configuration file is an option of UCI, with any value.
func (o *openwrt) optionsAreTheKeys() {
	if ok, _ := o.calls("start_service", read(o.t, "testdata/openwrt/everything.uci")); !ok {
		o.t.Fatal("it doesn't start")
	}
	got, want := o.read(), readConfig(o.t, "testdata/openwrt/everything.toml")
	if !reflect.DeepEqual(got, want) {
		o.t.Errorf("generated\n%s\n%+v\nwant\n%+v", read(o.t, o.generated()), got, want)
	}
	var file map[string]any
	if _, err := toml.DecodeFile(o.generated(), &file); err != nil {
		o.t.Fatal(err)
	}
	names := map[string]any{}
	flatten(names, "", file)
	keys("", reflect.TypeFor[config.Config](), func(name string, _ reflect.StructTag) {
		if strings.HasPrefix(name, "collector.") {
			return // of which the first has an address alone
		}
		if _, is := names[name]; !is {
			o.t.Errorf("the test, or the script, lacks %s", name)
		}
	})
}

// starts: the package's configuration, its examples included, is accepted and used.
func (o *openwrt) starts() {
	for _, text := range []string{shipped(o.t), withExamples(o.t)} {
		ok, said := o.calls("start_service", text)
		want := []string{
			"open instance",
			"param command " + o.program + " run --config " + o.generated(),
			"param env STATE_DIRECTORY=" + o.dir + "/state RUNTIME_DIRECTORY=" + o.dir + "/run",
			"param respawn 60 5 10", "param stderr 1", "param no_new_privs 1",
			"param term_timeout 30", "close instance",
		}
		if !ok || !slices.Equal(said, want) {
			o.t.Errorf("procd was told %q, want %q", said, want)
		}
	}
	if c := o.read(); len(c.Collectors) != 1 || len(c.Named) != 1 || len(c.Filters) != 1 {
		o.t.Errorf("the examples are read as %+v", c)
	}
}

// refuses: a mistake is a failure that leaves the running service and its file as they are.
func (o *openwrt) refuses() {
	if ok, _ := o.calls("start_service", shipped(o.t)); !ok {
		o.t.Fatal("it doesn't start")
	}
	good := read(o.t, o.generated())
	for _, wrong := range []string{
		"config collector\n option address 'nowhere'",
		"config flow\n option active_timeout 'often'",
		"config flow\n option biflow 'perhaps'",
		"config flow\n option max_flows '10 # all'\n option nat \"a\\\"",
		"config filter\n option action 'exclude'\n list zones 'x] #'",
		"config log 'log'\nconfig log",
		"config metrics\n list labels 'nothing'",
	} {
		for _, function := range []string{"start_service", "reload_service"} {
			if ok, said := o.calls(function, shipped(o.t)+"\n"+wrong); ok || said[0] != "" {
				o.t.Errorf("%s: %s tells procd %q", wrong, function, said)
			}
			if read(o.t, o.generated()) != good {
				o.t.Errorf("%s: %s replaced the file", wrong, function)
			}
		}
	}
}

func (o *openwrt) reloads() {
	ok, said := o.calls("reload_service", shipped(o.t)+"\nconfig log\n option level 'debug'")
	if !ok || said[0] != "open service" || said[1] != "open instance" ||
		!slices.Equal(said[len(said)-2:], []string{"close service", "signal conntally * HUP"}) {
		o.t.Errorf("a reload tells procd %q", said)
	}
	if level := o.read().Log.Level; level.String() != "debug" {
		o.t.Errorf("the level is %v", level)
	}
	if ok, said := o.calls("service_triggers", ""); !ok || said[0] != "trigger conntally" {
		o.t.Errorf("triggers: %q", said)
	}
}

func (o *openwrt) isOffAtFirst() {
	ok, said := o.calls("start_service", read(o.t, "openwrt/files/conntally.config"))
	if !ok || said[0] != "" {
		o.t.Errorf("%v, procd is told %q", ok, said)
	}
}

// isTurnedOff: also by one whose configuration is wrong by now.
func (o *openwrt) isTurnedOff() {
	uci := "config conntally 'main'\n option enabled '0'\nconfig collector\n option address 'nowhere'"
	ok, said := o.calls("reload_service", uci)
	want := []string{"open service", "close service", "signal conntally * HUP"}
	if !ok || !slices.Equal(said, want) {
		o.t.Errorf("%v, procd is told %q", ok, said)
	}
}

func (o *openwrt) takesAnotherFile() {
	other := filepath.Join(o.dir, "own.toml")
	uci := "config conntally 'main'\n option enabled 'on'\n option config_file '" + other + "'"
	if ok, said := o.calls("start_service", uci); ok || said[0] != "" {
		o.t.Errorf("a file that isn't there: %v, %q", ok, said)
	}
	if err := os.WriteFile(other, []byte("[log]\nlevel = \"debug\"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	ok, said := o.calls("start_service", uci)
	if !ok || !slices.Contains(said, "param command "+o.program+" run --config "+other) {
		o.t.Errorf("%v, %q", ok, said)
	}
	if _, err := os.Stat(o.generated()); err == nil {
		o.t.Error("a file was generated beside it")
	}
}

// openWrtStubs are what the package's Makefile includes, enough to install what it lists.
var openWrtStubs = map[string]string{
	"rules.mk": "INCLUDE_DIR := $(TOPDIR)/include\nINSTALL_DIR := install -d -m 755\n" +
		"INSTALL_BIN := install -m 755\nINSTALL_CONF := install -m 600\n",
	"include/package.mk": "define BuildPackage\n" +
		"  packaged: ; $$(call Package/$(1)/install,$$(DESTDIR))\n" +
		"  about: ; @echo '$$(PKG_VERSION) $$(GO_PKG_BUILD_PKG)'\nendef\n",
	"feeds/packages/lang/golang/golang-package.mk": "GoBinPackage :=\n" +
		"define GoPackage/Package/Install/Bin\n" +
		"\t$(INSTALL_DIR) $(1)/usr/bin\n\techo program >$(1)/usr/bin/conntally\nendef\n",
}

// TestOpenWrtPackage makes the package's Makefile install its files, in a stub of the build system.
func TestOpenWrtPackage(t *testing.T) {
	top, root := t.TempDir(), t.TempDir()
	for name, text := range openWrtStubs {
		path := filepath.Join(top, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(labtest.Program(t, "make"), "-C", "openwrt", "--warn-undefined-variables",
		"TOPDIR="+top, "DESTDIR="+root, "GO_ARCH_DEPENDS=", "packaged", "about").CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") {
		t.Fatalf("%v\n%s", err, out)
	}
	for path, mode := range map[string]os.FileMode{
		"etc/init.d/conntally": 0o755, "etc/config/conntally": 0o600, "usr/bin/conntally": 0o644,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	version := one(t, "package.nix", `version = "(.*)"`)
	if !strings.Contains(string(out), version+" github.com/conntally/conntally/cmd/conntally") {
		t.Errorf("it packages another version than %s:\n%s", version, out)
	}
}
