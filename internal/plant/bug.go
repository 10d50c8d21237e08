package plant

import "slices"

// Bug is the name of a known bug.
type Bug string

// None is no bug.
const None Bug = ""

// Bugs of the protocol's core, which the simulation finds. Those of drivers live
// in its model of one; a driver may have them too.
const (
	// In the publisher's numbers.
	PerPublisherNumbers Bug = "per-publisher-numbers" // one series for all topics, which subscribers filter
	BeaconWhenAllIdle   Bug = "beacon-when-all-idle"  // a busy topic keeps the others from being beaconed
	QuotaWithoutFloor   Bug = "quota-without-floor"   // a topic that was forgotten begins at 1 again

	// In the subscriber's tracker.
	GapsAboveTwo       Bug = "gaps-above-two"      // one missing event is no gap
	EpochIsIdentity    Bug = "epoch-is-identity"   // a restart is another publisher, and the old one's end unseen
	GiveUp             Bug = "give-up"             // a resync on which the handler failed five times is dropped
	ToldOnce           Bug = "told-once"           // a resync on which the handler failed is dropped
	BeaconOvertakes    Bug = "beacon-overtakes"    // a beacon counts before the events it speaks of
	FirstBelieved      Bug = "first-believed"      // the first number on a lossy driver proves what was before
	PatienceUntold     Bug = "patience-untold"     // what waited too long is given up without telling
	CallAfterDrop      Bug = "call-after-drop"     // a topic that was dropped still reaches the handler
	SyncSkipped        Bug = "sync-skipped"        // a resync soon after another is dropped, not deferred
	LostOnce           Bug = "lost-once"           // a publisher that comes back is taken to have missed nothing
	CoveredForgotten   Bug = "covered-forgotten"   // what makes events needless is not told in the end
	DuplicateDelivered Bug = "duplicate-delivered" // a publisher that is configured twice counts twice
	WallClock          Bug = "wall-clock"          // silence is judged by a clock that people set

	// In the driver.
	ResumeInFlight    Bug = "resume-in-flight"    // a subscription that was not confirmed is taken for resumed
	ResumeOtherServer Bug = "resume-other-server" // the resume point of another publisher is used
	EmptyEpoch        Bug = "empty-epoch"         // a resume point without an epoch is accepted
	MarkOvertakes     Bug = "mark-overtakes"      // a mark speaks of events that were not sent yet
	SkipUntold        Bug = "skip-untold"         // past retention it goes on at what is kept, untold
	HeartbeatNoData   Bug = "heartbeat-no-data"   // the heartbeat is answered though the data is stuck
	ResubscribeDrops  Bug = "resubscribe-drops"   // subscriptions past a high-water mark are dropped
	CountIgnored      Bug = "count-ignored"       // the number of messages in a mark is not looked at
	GoneUntold        Bug = "gone-untold"         // a publisher that vanished is waited for in silence
)

// Bugs of what surrounds the core, which only processes have.
const (
	// In drivers/zmq.
	BehindUntold    Bug = "behind-untold"    // who fell out of retention while connected goes on, untold
	MarkWhenIdle    Bug = "mark-when-idle"   // a heartbeat is answered with a mark only while nothing is published
	ConfirmedEarly  Bug = "confirmed-early"  // a subscription counts when it was asked for
	ConfirmedUntold Bug = "confirmed-untold" // one that came into force late is not told
	ConnectGivesUp  Bug = "connect-gives-up" // after five attempts in vain a publisher is not tried any more, silently
	TwoAddresses    Bug = "two-addresses"    // a publisher that has two addresses is two
	RemadeUntold    Bug = "remade-untold"    // an unmodified node that comes back is not told to sync
	BindSteals      Bug = "bind-steals"      // a socket that is alive is taken away from its owner
	PushForgets     Bug = "push-forgets"     // a worker forgets the batch of which a write failed

	// In the core's edges, and the service.
	EpochOfIdentity Bug = "epoch-of-identity" // the epoch is made of the identity: the same after a crash
	StateUsedTwice  Bug = "state-used-twice"  // a hand-over stays usable when it was used: likewise
	LoopEnds        Bug = "loop-ends"         // the relay ends on an event that it can't move
)

// Bugs of drivers on brokers.
const (
	// In drivers/etcd.
	WatchFromNow      Bug = "watch-from-now"     // a watch that is made again begins at the present, not where it was
	LatestOnly        Bug = "latest-only"        // of the versions of a key the last is taken: one key per topic
	CompactedUntold   Bug = "compacted-untold"   // past a compaction it goes on at what is kept, untold
	ProgressOvertakes Bug = "progress-overtakes" // progress counts for watches that have yet to catch up
)

// Simulated are the bugs that the simulation has to find.
var Simulated = []Bug{
	PerPublisherNumbers, BeaconWhenAllIdle, QuotaWithoutFloor,
	GapsAboveTwo, EpochIsIdentity, GiveUp, ToldOnce, BeaconOvertakes, FirstBelieved, PatienceUntold, CallAfterDrop, SyncSkipped,
	LostOnce, CoveredForgotten, DuplicateDelivered, WallClock,
	ResumeInFlight, ResumeOtherServer, EmptyEpoch, MarkOvertakes, SkipUntold, HeartbeatNoData, ResubscribeDrops, CountIgnored, GoneUntold,
}

// NotInProcesses are those of them that no process of a campaign can have, or
// show in the time that there is, each with the reason.
var NotInProcesses = []struct {
	Bug Bug
	Why string
}{
	{BeaconWhenAllIdle, "beacons are for drivers that lose without knowing, and campaigns are on ZeroMQ"},
	{BeaconOvertakes, "likewise"},
	{FirstBelieved, "likewise"},
	{PatienceUntold, "events wait on drivers that don't keep the order, and there is none"},
	{LostOnce, "beats are for drivers that don't notice a publisher's end, and campaigns are on ZeroMQ"},
	{QuotaWithoutFloor, "takes more topics than the quota has, thousands"},
	{GiveUp, "takes a handler that fails for half a minute"},
}

// OnBrokers are the bugs that a driver's fault suite has to find, against real
// servers.
var OnBrokers = []Bug{WatchFromNow, LatestOnly, CompactedUntold, ProgressOvertakes}

// InProcesses are the bugs that the campaign with real processes has to find.
func InProcesses() []Bug {
	all := append(slices.Clone(Simulated),
		BehindUntold, MarkWhenIdle, ConfirmedEarly, ConfirmedUntold, ConnectGivesUp, TwoAddresses, RemadeUntold, BindSteals, PushForgets,
		EpochOfIdentity, StateUsedTwice, LoopEnds)
	for _, n := range NotInProcesses {
		all = slices.DeleteFunc(all, func(b Bug) bool { return b == n.Bug })
	}
	return all
}
