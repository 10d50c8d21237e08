// Package validator judges a run of the whole system by what was accepted from
// workers and what the handlers of subscribers saw. It imports nothing of the
// product, so that it can't share an error with it.
//
// # Usage
//
// Give a [Checker] every [Record] of the run, and let it check whenever nothing
// is under way:
//
//	c := validator.New(validator.Params{Within: 8 * time.Second, All: "D"})
//	for r := range records {
//		c.Add(r)
//	}
//	result := c.Check(now)
//	for _, v := range result.Violations { ... }
//
// Records of one process come in the order in which it wrote them; those of
// different processes may be mixed in any way. All times are on one clock, in
// nanoseconds.
//
// # Properties
//
//	I1  a handler sees only topics that its session holds, and each event as it
//	    was accepted; it is not called for a topic once Unsubscribe has returned
//	I2  the numbers of (publisher, epoch, topic) rise, those of a worker's topic
//	    too, and an epoch that was followed by another does not come back
//	I3  nothing is seen twice in a session
//	I4  between two numbers that are not neighbours, and between two epochs of a
//	    publisher, the handler was told to resync the topic
//	I5  every event that was accepted while a session held the topic is seen, or
//	    covered by a resync that was told later, within Params.Within after it
//	    was accepted or after the last fault that concerns it had ended
//
// A run can further be held to not resyncing without need: see [Explain].
//
// # What counts as accepted
//
// A worker's Publish returns when the worker's own queue has the event. So what
// was still in the worker when it is killed, see Params.Queue, is excused, unless a
// subscriber got it or a later one of that topic. What was in flight when a service is
// killed is lost too, but not excused: everybody has to be told.
//
// A resync covers what was accepted before it: who is told reads the database,
// to which a worker commits before it publishes. So the time at which Publish was
// called counts there, and that at which it returned counts for the deadline.
//
// # Concurrency
//
// A Checker belongs to one goroutine.
package validator
