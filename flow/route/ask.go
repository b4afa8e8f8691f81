package route

// ask asks for the route to an end, once as long as routes stay as they are. class
// is of the sender, 0 where it makes no difference. Where a sender has no such
// route it returns false and remembers nothing: others of its class may have one.
func (r *Resolver) ask(to *end, class uint64, q *query) bool {
	k := key{to.atom, class, q.in, q.mark}
	if s := r.cache.find(&k); s.kind != untold {
		r.hits++
		to.answer = s.answer
		return true
	}
	a := r.lookUp(q)
	if a.kind == nowhere && class != 0 {
		return false
	}
	r.cache.add(&k, a)
	to.answer = a
	return true
}

// lookUp asks the kernel.
func (r *Resolver) lookUp(q *query) answer {
	r.Stats.Lookups.Add(1)
	kind, index, err := r.fib.lookUp(q)
	if err != nil {
		r.Stats.Unreachable.Add(1)
	}
	if kind == unicast || kind == group {
		return answer{kind, r.seen.hop(index)}
	}
	return answer{kind: kind}
}
