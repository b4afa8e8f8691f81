package link

// ask asks for the route to an end, once as long as routes stay as they are. class
// is of the sender, 0 where it makes no difference. Where a sender has no such
// route it returns false and remembers nothing: others of its class may have one.
func (l *Links) ask(to *end, class uint64, q *query) bool {
	k := key{to.atom, class, q.in, q.mark}
	if s := l.cache.find(&k); s.kind != untold {
		l.hits++
		to.answer = s.answer
		return true
	}
	a := l.lookUp(q)
	if a.kind == nowhere && class != 0 {
		return false
	}
	l.cache.add(&k, a)
	to.answer = a
	return true
}

// lookUp asks the kernel.
func (l *Links) lookUp(q *query) answer {
	l.Stats.Lookups.Add(1)
	kind, index, err := l.fib.lookUp(q)
	if err != nil {
		l.Stats.Unreachable.Add(1)
	}
	if kind == unicast || kind == group {
		return answer{kind, l.seen.hop(index)}
	}
	return answer{kind: kind}
}
