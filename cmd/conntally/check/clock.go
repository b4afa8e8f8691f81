package check

// firstYear is before this program was written: an earlier clock was never set.
const firstYear = 2020

func clock(f *Facts) Result {
	mend, advice := "", "; chrony or another NTP client sets it"
	if f.Clock.Systemd {
		mend, advice = "timedatectl set-ntp true", ""
	}
	switch c := f.Clock; {
	case c.Now.Year() < firstYear:
		return fail(mend, "the clock says %s, and so would all flows%s", c.Now.Format("2006-01-02"), advice)
	case !c.Synced:
		return warn(mend, "the clock isn't synchronised: flows may be dated wrong%s", advice)
	}
	return ok("the clock is synchronised")
}
