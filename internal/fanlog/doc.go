// Package fanlog sends one stream of events to many connections: a log that all
// share, and a cursor in it for each.
//
// # Usage
//
//	fan, err := fanlog.New(fanlog.Options{Retention: 64 << 20})
//	fan.Attach(fd, handler, greeting) // a connected, non-blocking socket
//	n, err := fan.Append(ctx, frames) // events, as the bytes of the wire
//	err = fan.Flush(ctx)
//	err = fan.Save(file)              // for Options.Restore of the next Fanout
//	err = fan.Close()
//
// The package knows nothing of a protocol. A Handler reads what a peer sends,
// subscribes its Session to topics, calls Activate when events may flow, and
// sends private bytes of its own between them.
//
//	 Append ──▶ log: segments of 1 MiB, written once, shared by all
//	           ┌─────────┬─────────┬─────────┬────┄┄┄
//	retired ◀─ │ seg 7   │ seg 8   │ seg 9   │ seg 10 ▶ grows
//	           └─────────┴─────────┴─────────┴────┄┄┄
//	             ▲    ▲                        ▲ ▲
//	        session  session              session head
//	             └────┴───────── loop 0 ───────┴─┘ window: references to 7 to 10
//	                             loop 1 ...        a window, an index, sessions
//
// Each loop is a goroutine with a share of the sessions, and works in rounds. It
// takes in what was appended (window.go), finds who holds the topics of it
// (index.go), and writes to each of those from where the event lies in the log
// when all there is is for it, or gathered event by event (gather.go). An event
// costs no queue entry, header or copy per session; under load batches grow by
// themselves.
//
// What peers send is read in turns as well (pause.go): a few milliseconds of a
// round, whatever they ask for, and a Handler may pause a session that asks for
// too much. A session that goes leaves the index bit by bit (leave.go).
//
// # Delivery
//
// A session receives, from its Activate on, the events that match its
// subscriptions at the time that they are written, each once, whole, and in the
// order of Append. Nothing that is appended after Subscribe returned is missed.
// A subscription that is made while the session is behind applies to what it
// still has to take.
//
// Memory is bounded by Options.Retention, whoever is slow. A session that is so
// far behind that events it has not taken are retired is lost: the event that
// it was in the middle of is completed, Handler.Lost is called as soon as it
// takes something again, and it goes on with what is appended then. It is lost
// even when none of the retired events matched: nobody looked.
//
// The log counts its events: an event's offset is the number of those before
// it. A session may be put back to an offset that is retained (Resume), and
// knows where it stands (Position), so that a peer can be told from time to
// time (Marker), and can go on from there with another connection, even to
// another Fanout that took over the log (Save, Options.Restore).
//
// Append waits for sessions that do their best, and only for those; who is one
// of them is told in throttle.go.
//
// # Concurrency
//
// Append is for one goroutine at a time; the other methods of Fanout may be
// called from anywhere. A Handler's methods are called by its session's loop, one
// at a time, and must not block: they hold up a share of all sessions. Methods
// of a Session are for its Handler, from within those calls.
//
// Two locks are shared with the loops: loop.mail.mu (tasks for a loop) and
// log.mu (the log). Both are leaves, never held together and never across a
// system call, but for log.free.mu (retired segments), which may be taken under
// log.mu. A loop takes log.mu once a round, and when a session asks for a topic
// that nobody on the loop holds or for an offset. A segment is counted: once by the log while it is retained, and once
// by each window that has it. Its memory is used again only when the count is
// zero, so that no write ever reads what changes.
//
// No wake-up is lost: a loop announces its sleep, and looks at the log, the
// mailbox and the throttle once more afterwards; whoever makes work does so
// first and then looks for the announcement.
//
// # Errors
//
// Append and Flush return ErrClosed after Close, ctx's error, or, from Flush
// alone, a *StuckError. What ends a session is the last argument of
// Handler.Closed: one of this package's errors, the system's, or the handler's
// own. Handler's errors are passed on as they are. An error of the poller ends
// its loop, which is logged, and the loop's sessions with it.
package fanlog
